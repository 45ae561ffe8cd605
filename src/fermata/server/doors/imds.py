"""Azure's instance metadata for clients inside a node: scheduled events and their approval, what the node is, and a
token that says so. Every version of the events is answered, with the fields that it has.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid5

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fermata.domain import arm
from fermata.domain.ids import NodeId
from fermata.domain.scheduled_events import EventStatus, ScheduledEvent
from fermata.server.doors.hearing import hearing_of
from fermata.server.doors.node_front import TEXT, BadCall, Call, Door, Reply
from fermata.server.metering import run_in_threadpool
from fermata.services.errors import Refusal
from fermata.services.event_approvals import UnknownEvents, sentences, start_node_events

EVENT_VERSIONS = (
    "2017-03-01", "2017-08-01", "2017-11-01", "2019-01-01", "2019-04-01", "2019-08-01", "2020-07-01",
)  # fmt: skip
ADDED = {"Description": "2019-04-01", "EventSource": "2019-08-01", "DurationInSeconds": "2020-07-01"}
PREVIEW = "2017-03-01"  # it asks for no header yet, and names nodes with a line before them
INSTANCE_VERSIONS = (
    "2017-04-02", "2017-08-01", "2017-12-01", "2018-02-01", "2018-04-02", "2018-10-01", "2019-02-01", "2019-03-11",
    "2019-04-30", "2019-06-01", "2019-06-04", "2019-08-01", "2019-08-15", "2019-11-01", "2020-06-01", "2020-09-01",
    "2020-10-01", "2021-01-01", "2021-02-01", "2021-05-01", "2021-10-01", "2021-11-01", "2021-12-13",
)  # fmt: skip
TOKEN_VERSIONS = ("2018-02-01", "2019-08-01", "2019-11-01", "2020-06-01")
NEWEST = 3
EVENTS_MAX = 1000
TOKEN_SECONDS = 86_399


class StartRequest(BaseModel):
    """One event to be approved."""

    model_config = ConfigDict(extra="ignore")

    event_id: str = Field(alias="EventId", min_length=1, max_length=100)


class Body(BaseModel):
    """What is approved."""

    model_config = ConfigDict(extra="ignore")

    start_requests: list[StartRequest] = Field(alias="StartRequests", min_length=1, max_length=EVENTS_MAX)


async def get_events(call: Call) -> Reply:
    """The node's scheduled events. 304 for a client that names the incarnation it has."""
    version = _version(call, EVENT_VERSIONS, open_to=PREVIEW)
    document = call.document()
    etag = f'"{document.incarnation}"'.encode()
    headers = ((b"etag", etag),)
    if call.headers.get(b"if-none-match") == etag:
        return Reply(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    body = document.texts.get(version)
    if body is None:
        events = [_event(event, version) for event in document.events]
        body = orjson.dumps({"DocumentIncarnation": document.incarnation, "Events": events})
        document.texts[version] = body
    return Reply(body=body, headers=headers)


async def post_events(call: Call) -> Reply:
    """Approves events. The body is JSON whatever its type is said to be; the version may be older than a GET's."""
    _version(call, EVENT_VERSIONS, open_to=PREVIEW)
    try:
        asked = Body.model_validate_json(await call.body())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"]) or "the body"
        raise BadCall(f"Bad request. {where}: {fault['msg']}.") from error
    await run_in_threadpool(_start, call, [each.event_id for each in asked.start_requests])
    return Reply()


async def get_instance(call: Call) -> Reply:
    """What the node is: all of it, a part, or one value as text."""
    _version(call, INSTANCE_VERSIONS)
    found: Any = describe(call)
    for part in call.path.split("/")[3:]:
        lower = {name.lower(): value for name, value in found.items()} if isinstance(found, dict) else {}
        if part not in lower:
            raise BadCall("Not found.", status=HTTPStatus.NOT_FOUND)
        found = lower[part]
    if call.options().get("format", "json").lower() == "text":
        if isinstance(found, str):
            return Reply(body=found.encode(), media_type=TEXT)
        raise BadCall("Bad request. Only a single value is told as text.")
    return Reply(body=orjson.dumps(found))


async def get_versions(call: Call) -> Reply:
    """Every version that is answered here."""
    _require_header(call)
    versions = sorted({*EVENT_VERSIONS, *INSTANCE_VERSIONS, *TOKEN_VERSIONS})
    return Reply(body=orjson.dumps({"apiVersions": versions}))


async def get_token(call: Call) -> Reply:
    """A token of the node, which our doors for resource managers accept."""
    _version(call, TOKEN_VERSIONS)
    resource = call.options().get("resource", "")
    if not resource:
        body = {"error": "invalid_request", "error_description": "Required query variable 'resource' is missing"}
        return Reply(body=orjson.dumps(body), status=HTTPStatus.BAD_REQUEST)
    now = call.given.now()
    keys = call.given.node_keys
    told = {
        "access_token": keys.sign(keys.claims(call.node, audience=resource, now=now, seconds=TOKEN_SECONDS)),
        "client_id": vm_id(call.node),
        "expires_in": str(TOKEN_SECONDS),
        "expires_on": str(int(now.timestamp()) + TOKEN_SECONDS),
        "not_before": str(int(now.timestamp())),
        "resource": resource,
        "token_type": "Bearer",
    }
    return Reply(body=orjson.dumps(told))


def describe(call: Call) -> dict[str, Any]:
    """The node as an instance; every single value is text."""
    node = call.picture.fleet.nodes[call.node]
    cluster = call.picture.fleet.clusters[node.cluster]
    group = arm.group_id(cluster.customer, cluster.supercomputer)
    tags = {"role": str(node.role), "workload": node.workload, "rack": node.rack, "scalableUnit": node.scalable_unit}
    return {
        "compute": {
            "azEnvironment": "",
            "location": cluster.region,
            "name": node.name,
            "osType": "Linux",
            "placementGroupId": node.scalable_unit,
            "platformFaultDomain": node.fault_domain,
            "platformUpdateDomain": "0",
            "provider": "Microsoft.Compute",
            "resourceGroupName": cluster.supercomputer,
            "resourceId": arm.node_id(group, node.name),
            "subscriptionId": arm.subscription_id(cluster.customer),
            "tags": ";".join(f"{name}:{value}" for name, value in tags.items()),
            "tagsList": [{"name": name, "value": value} for name, value in tags.items()],
            "vmId": vm_id(node.name),
            "vmScaleSetName": node.cluster,
            "vmSize": cluster.sku,
            "zone": "",
        },
        "network": {"interface": []},
    }


def vm_id(node: NodeId) -> str:
    """The GUID of a node as an instance."""
    return str(uuid5(arm.NAMESPACE, f"node:{node}"))


def _start(call: Call, ids: list[str]) -> None:
    hearing = hearing_of(call.given, "approved from inside the node: StartRequests of scheduled events")
    try:
        start_node_events(hearing, call.node, ids)
    except UnknownEvents as unknown:
        raise BadCall(
            f"Bad request. No event is called {', '.join(unknown.ids[:5])}: nothing was approved."
        ) from unknown
    except Refusal as refusal:
        raise BadCall(f"Bad request. {sentences(refusal.reasons)}") from refusal


def _event(event: ScheduledEvent, version: str) -> Mapping[str, Any]:
    started = event.status is EventStatus.STARTED
    told = {
        "EventId": event.id,
        "EventType": event.type,
        "ResourceType": "VirtualMachine",
        "Resources": [f"_{event.node}" if version == PREVIEW else event.node],
        "EventStatus": event.status,
        "NotBefore": "" if started else arm.rfc1123(event.not_before),
        "Description": event.description,
        "EventSource": "Platform",
        "DurationInSeconds": event.seconds,
    }
    return {name: value for name, value in told.items() if ADDED.get(name, "") <= version}


def _version(call: Call, known: tuple[str, ...], *, open_to: str = "") -> str:
    version = call.options().get("api-version", "")
    if version != open_to or not open_to:
        _require_header(call)
    if version in known:
        return version
    sentence = "Bad request. api-version is invalid or was not specified in the request."
    raise BadCall(sentence, extra={"newest-versions": list(known[: -NEWEST - 1 : -1])})


def _require_header(call: Call) -> None:
    if call.header(b"metadata").lower() != "true":
        raise BadCall("Bad request. Required metadata header not specified")


DOORS = (
    Door(path="/metadata/scheduledevents", methods={"GET": get_events, "POST": post_events}),
    Door(path="/metadata/instance", methods={"GET": get_instance}, below=True),
    Door(path="/metadata/versions", methods={"GET": get_versions}),
    Door(path="/metadata/identity/oauth2/token", methods={"GET": get_token}),
)
