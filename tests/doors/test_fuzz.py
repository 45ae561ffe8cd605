"""Whatever is sent to a door, it is answered in a shape that clients know, never with a failure of the server."""

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import orjson
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.types import Message
from tests.conftest import copy_sqlite
from tests.doors import world
from tests.doors.conftest import SECRET, HandClock
from tests.formats.conftest import Small

from fermata.domain import arm
from fermata.domain.ids import CustomerId, NodeId
from fermata.formats.scenario import read_scenario
from fermata.server.app import create_app
from fermata.server.callers import NodeAccess, NodeKeys
from fermata.server.limits.bounds import BOUNDS
from fermata.services import inventory
from fermata.store.database import Database

LUMEN = arm.subscription_id(CustomerId("lumen"))
KEY = NodeKeys(SECRET).key_of(NodeId("alpha-n1"))
CREDENTIALS = "Basic " + base64.b64encode(f"alpha-n1:{KEY}".encode()).decode()
GROUP = ["subscriptions", LUMEN, "resourceGroups", "sc-1", "providers"]
NAMES = (
    "Metadata", "Metadata-Flavor", "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds", "If-None-Match",
    "Authorization", "Content-Type", "X-Forwarded-For",
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "subscriptions", LUMEN, "resourceGroups", "sc-1", "sc-2", "providers", "Microsoft.Compute", "virtualMachines",
        "alpha-n1", "beta-n0", "virtualMachineScaleSets", "alpha", "Microsoft.Maintenance", "scheduledevents",
        "acknowledge", "updates", "applyUpdates", "default", "maintenanceConfigurations", "configurationAssignments",
        "maintenancePlans", "Microsoft.SupercomputerInfrastructure", "supercomputers", "clusters", "racks", "nodes",
        "maintenanceRequests", "deployment", "deployment-alpha", "my-fix", "switches", "alpha-r0-tor", "ports", "nics",
        "packetCapture", "locations", "westus3", "operationStatuses", "operationResults", "mr_1", "metadata",
        "instance", "compute", "name", "versions",
        "identity", "oauth2", "token", "latest", "api", "meta-data", "events", "maintenance", "scheduled", "history",
        "computeMetadata", "v1", "upcoming-maintenance", "maintenance-event", "v1", "projects", "lumen", "zones",
        "westus3-dc1", "instances", "performMaintenance", "operations", "reservations", "metrics", "rows.json", "%2e",
        "..", "%00", "",
    ]
)  # fmt: skip
ROOTS = st.sampled_from(
    [
        ["metadata"],
        ["computemetadata", "v1", "instance"],
        ["latest"],
        ["compute", "v1", "projects", "lumen", "zones", "westus3-dc1"],
        GROUP,
        [*GROUP, "Microsoft.Compute", "virtualMachines", "alpha-n1", "providers", "Microsoft.Maintenance"],
        [*GROUP, "Microsoft.SupercomputerInfrastructure", "supercomputers", "sc-1"],
    ]
)
MAINTENANCE = "Microsoft.Compute/virtualMachines/alpha-n1/providers/Microsoft.Maintenance"
INSTANCE = "/compute/v1/projects/lumen/zones/westus3-dc1/instances/alpha-n1"
KNOWN = (
    "/metadata/scheduledevents", "/metadata/instance", "/metadata/instance/compute/name", "/metadata/versions",
    "/metadata/identity/oauth2/token", "/computemetadata/v1/instance/upcoming-maintenance", "/latest/api/token",
    "/latest/meta-data/events/maintenance/scheduled", INSTANCE, f"{INSTANCE}/performMaintenance", "/metrics",
    *(
        "/" + "/".join([*GROUP, rest])
        for rest in (
            f"{MAINTENANCE}/updates", f"{MAINTENANCE}/applyUpdates/default", f"{MAINTENANCE}/scheduledevents",
            f"{MAINTENANCE}/scheduledevents/x/acknowledge", f"{MAINTENANCE}/configurationAssignments/a",
            f"{MAINTENANCE}/maintenancePlans", "Microsoft.Maintenance/maintenanceConfigurations/weekend",
            "Microsoft.SupercomputerInfrastructure/supercomputers/sc-1/maintenanceRequests/deployment",
            "Microsoft.SupercomputerInfrastructure/supercomputers/sc-1/maintenanceRequests/my-fix",
            "Microsoft.SupercomputerInfrastructure/locations/westus3/operationStatuses/mr_1",
            "Microsoft.SupercomputerInfrastructure/supercomputers/sc-1/racks/alpha-r0/nodes",
        )
    ),
)  # fmt: skip
MADE_UP = st.tuples(ROOTS, st.lists(WORDS, max_size=6)).map(lambda parts: "/" + "/".join([*parts[0], *parts[1]]))
PATHS = st.sampled_from(KNOWN) | MADE_UP
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["value", "properties", "state", "status", "StartRequests", "EventId", "maintenanceWindow", "duration",
         "startDateTime", "timeZone", "recurEvery", "maintenanceConfigurationId", "description", "impactCategory",
         "maintenanceRequestType", "unhealthyResources"]
    ), inner, max_size=3),
    max_leaves=8,
).map(lambda value: repr(value).encode())  # fmt: skip
VALUES = st.sampled_from(["true", "Google", "60", "Bearer a.b.c", "Bearer .e30.", '"1"', "x", ""])
HEADERS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2).map(
    lambda odd: {"Metadata": "true", "Metadata-Flavor": "Google", **odd}
)
VERSIONS = st.sampled_from(["2020-07-01", "2020-07-01", "2021-12-13", "2018-02-01", "2023-04-01", "x", ""])
OPTIONS = st.sampled_from(["resource", "format", "alt", "last_etag", "includeInactive", "api-version "])
QUERIES = st.tuples(
    VERSIONS, st.dictionaries(OPTIONS, st.sampled_from(["x", "", "text", "json", "true"]), max_size=2)
).map(lambda parts: {"api-version": parts[0], **parts[1]})


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[FastAPI]:
    folder = tmp_path_factory.mktemp("fuzz")
    copy_sqlite(sqlite_template, folder / "store.sqlite")
    db = Database(f"sqlite:///{folder / 'store.sqlite'}")
    read = read_scenario(Small(folder).folder)
    given = inventory.ImportSet(
        fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=world.campaign()
    )
    inventory.import_set(db, given, now=world.NOW, actor="tests")
    world.publish(db)
    numbers = iter(range(1_000_000))
    yield create_app(
        db,
        HandClock(world.NOW),
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        nodes=NodeAccess(secret=SECRET),
        bounds=replace(BOUNDS, node_calls=1_000_000),  # one node asks all the time here
    )
    db.close()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(method="POST", path="/metadata/..", query={}, headers={}, body=b"")  # EC2's door, by another way
@given(
    method=st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    path=PATHS,
    query=QUERIES,
    headers=HEADERS,
    body=st.binary(max_size=30) | JSON | JSON.map(lambda text: text.replace(b"'", b'"').replace(b"None", b"null")),
)
def test_no_door_fails(app: FastAPI, **sent: Any) -> None:
    answer = asyncio.run(_send(app, **sent))
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and sent["method"] != "HEAD":
        assert _says_what_is_wrong(answer), answer.text


def _says_what_is_wrong(answer: httpx.Response) -> bool:
    """EC2's clients read XML, everybody else's JSON."""
    if answer.headers["content-type"].startswith("text/xml"):
        return bool(ET.fromstring(answer.content).findtext("Errors/Error/Message"))
    told = orjson.loads(answer.content)
    return bool(told.get("error") or told.get("detail"))


async def _send(app: FastAPI, *, method: str, path: str, **sent: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    headers = {"Proxy-Authorization": CREDENTIALS, **sent["headers"]}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.request(method, path, params=sent["query"], headers=headers, content=sent["body"])


@pytest.mark.parametrize("start", ["", "http://169.254.169.254"])
def test_an_absolute_request_line_means_its_path_whatever_parsed_it(app: FastAPI, start: str) -> None:
    told: list[Message] = []

    async def send(message: Message) -> None:
        told.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"{start}/Metadata/versions",
        "raw_path": b"",
        "query_string": b"",
        "headers": [(b"metadata", b"true"), (b"proxy-authorization", CREDENTIALS.encode())],
    }
    asyncio.run(app(scope, receive, send))
    assert (told[0]["status"], b"apiVersions" in told[1]["body"]) == (200, True)
