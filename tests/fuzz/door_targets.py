"""One target for each thing that a stranger may send to the server: doors for other clouds' clients, and what callers
show to be known. The doors answer a whole server over a store of two customers: never with an error of its own.
"""

import atexit
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote_from_bytes

from starlette.testclient import TestClient
from starlette.types import Message, Scope
from tests.fuzz.target import Broken, Target, make
from tests.server.unbounded import FREE
from tests.tenants import world
from tests.tenants.conftest import StandingClock

from fermata.domain import arm
from fermata.domain.access import AccessBook, GranteeKind, GrantLine
from fermata.domain.identity import Grant, GrantLevel, Role
from fermata.domain.ids import NodeId
from fermata.formats.brake import BrakeFile
from fermata.server.app import create_app
from fermata.server.callers import NodeAccess, NodeKeys
from fermata.server.identity.admission import Admission
from fermata.store.database import Database, migrate

WORDS = ("%", "&", "=", "/", "..", ";", "\0", "²", "9" * 30, "-1", "null", "{", "}", "[", '"', "\ud7ff", "é")
ARM = f"/subscriptions/{arm.subscription_id(world.LUMEN)}"
MACHINE = f"{ARM}/resourceGroups/zqshared/providers/Microsoft.Compute/virtualMachines/zqalpha-n0"
MAINTENANCE = f"{MACHINE}/providers/Microsoft.Maintenance"
VERSION = "api-version=2023-10-01-preview"
TOPIC = f"{ARM}/resourceGroups/zqshared/providers/Microsoft.EventGrid/systemTopics/topic-zqalpha"
TOPICS_VERSION = "api-version=2025-02-15"
TOPIC_BODY = json.dumps(
    {"properties": {"source": ARM, "topicType": "microsoft.resourcenotifications.maintenanceresources"}}
).encode()
HEARS = f"{TOPIC}/eventSubscriptions/hears-zqalpha"
GCE = "/compute/v1/projects/zqlumen/zones/westus3-dc1/instances/zqalpha-n0"
EC2 = "Action=DescribeInstanceStatus&InstanceId.1=zqalpha-n0&Filter.1.Name=event.code&Filter.1.Value.1=x&MaxResults=5"
GRAPH = {
    "query": "resources | project name",
    "subscriptions": [arm.subscription_id(world.LUMEN)],
    "facets": [{"expression": "name", "options": {"sortBy": "name", "$top": 2}}],
    "options": {"$top": 3, "$skip": 1, "resultFormat": "table"},
}
EVENTS = {
    "properties": {
        "destination": {"endpointType": "WebHook", "properties": {"endpointUrl": "https://hooks.example/x"}},
        "filter": {
            "includedEventTypes": ["Microsoft.ResourceNotifications.MaintenanceResources.ScheduledEventEmitted"]
        },
        "eventDeliverySchema": "CloudEventSchemaV1_0",
    }
}
NOW = world.NOW
SECRET = b"a secret of tests, long enough by far"


class TurnedAway(Exception):
    """The server said no, as it should."""


@dataclass(frozen=True)
class _Asks:
    """One request whose named part is the fuzzed one. `reads_to`: words of a refusal that comes after all was read."""

    method: str
    path: str
    part: str  # body, path, query, or the name of a header
    query: str = VERSION
    headers: Mapping[str, str] = ()  # type: ignore[assignment]
    body: bytes = b""
    reads_to: bytes = b""
    signs_in: bool = False

    def __call__(self, data: bytes) -> object:
        text = data.decode("latin-1")
        given = {"host": "127.0.0.1", "content-type": "application/json"} | dict(self.headers)
        headers = [(name.encode(), value.encode()) for name, value in given.items()]
        path, query, body = self.path, self.query.encode(), self.body
        match self.part:
            case "body":
                body = data
            case "path":
                path = self.path + "/" + data.decode("utf-8", "ignore")
            case "query":
                query = quote_from_bytes(data, safe="&=%+;").encode()
            case name:
                line = "".join(letter for letter in text if letter.isprintable() or letter == "\t")
                headers.append((name.encode(), line.strip().encode("latin-1")))
        headers.append((b"content-length", str(len(body)).encode()))
        scope = _scope(self.method, path, query, headers)
        status, answer = _served(self.signs_in)(scope, body)
        if status >= 500 and status not in (501, 503):
            raise Broken(f"{self.method} {path[:80]} was answered {status}: {answer[:200]!r}")
        if self.signs_in:
            if status != 401:
                raise Broken(f"a stranger was answered {status}")
            return status
        if status >= 400 and not (self.reads_to and self.reads_to in answer):
            raise TurnedAway(f"{status} {answer.decode(errors='replace')}")
        return status


def _scope(method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> Scope:
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query, "headers": headers,
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip


@cache
def _served(signs_in: bool) -> Callable[[Scope, bytes], tuple[int, bytes]]:
    """A server of this process, until it ends."""
    folder = TemporaryDirectory(prefix="fermata-fuzz-")
    store = Path(folder.name, "store.sqlite")
    migrate(f"sqlite:///{store}")
    db = Database(f"sqlite:///{store}")
    world.build(db, Path(folder.name, "scenario"))
    line = GrantLine(kind=GranteeKind.USER, name="ada", grant=Grant(role=Role.VIEWER, level=GrantLevel.EVERYTHING))
    access = Admission(book=AccessBook(lines=(line,))) if signs_in else Admission()
    app = create_app(
        db,
        StandingClock(),
        new_id=str,
        access=access,
        nodes=NodeAccess(secret=SECRET),
        brake=BrakeFile(Path(folder.name, "brake")),
        bounds=FREE,
    )
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    client.__enter__()

    def end() -> None:
        client.__exit__(None, None, None)
        db.close()
        folder.cleanup()

    atexit.register(end)

    def ask(scope: Scope, body: bytes) -> tuple[int, bytes]:
        told: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            told.append(message)

        assert client.portal is not None, "it was entered"
        client.portal.call(app, scope, receive, send)
        return told[0]["status"], b"".join(message.get("body", b"") for message in told)

    if not signs_in:  # where subscriptions may be made
        ask(_scope("PUT", TOPIC, TOPICS_VERSION.encode(), [(b"host", b"127.0.0.1")]), TOPIC_BODY)
    return ask


def _node_key() -> str:
    return base64.b64encode(f"zqalpha-n0:{NodeKeys(SECRET).key_of(NodeId('zqalpha-n0'))}".encode()).decode()


def _door(name: str, run: Callable[[bytes], object], *seeds: bytes) -> Target:
    return make(name, run, *seeds, refusals=(TurnedAway,), words=WORDS)


def _door_targets_first() -> tuple[Target, ...]:
    key = {"authorization": "AWS4-HMAC-SHA256 Credential=zqlumen/20260101/x/ec2/aws4_request"}
    return (
        _door("door ec2", _Asks("POST", "/", "body", "", key), EC2.encode()),
        _door(
            "door ec2 key", _Asks("POST", "/", "authorization", "", body=EC2.encode()), b"AWS4 Credential=zqlumen/x/"
        ),
        _door(
            "door resource graph",
            _Asks("POST", "/providers/Microsoft.ResourceGraph/resources", "body"),
            json.dumps(GRAPH).encode(),
        ),
        _door("door kusto", _Asks("POST", "/v1/rest/query", "body", ""), b'{"csl": "resources | take 1", "db": "x"}'),
        _door(
            "door arm path",
            _Asks("GET", ARM, "path"),
            MAINTENANCE.removeprefix(f"{ARM}/").encode() + b"/updates",
            b"providers/Microsoft.Maintenance/scheduledevents",
            b"resourceGroups/zqshared",
        ),
        _door("door arm query", _Asks("GET", f"{MAINTENANCE}/updates", "query"), VERSION.encode(), b"$filter=a&$top=1"),
        _door(
            "door arm plan",
            _Asks(
                "PUT",
                f"{ARM}/resourceGroups/zqshared/providers/Microsoft.Maintenance/maintenanceConfigurations/x",
                "body",
            ),
            b'{"location": "westus3", "properties": {"maintenanceScope": "Host", "maintenanceWindow":'
            b' {"startDateTime": "2026-02-01 00:00", "duration": "02:00", "timeZone": "UTC",'
            b' "recurEvery": "Week Sunday"}}'
            b"}",
        ),
    )


def _door_targets_second() -> tuple[Target, ...]:
    return (
        _door(
            "door event grid",
            _Asks("PUT", HEARS, "body", TOPICS_VERSION, reads_to=b"its channel is not set up"),
            json.dumps(EVENTS).encode(),
        ),
        _door(
            "door topic",
            _Asks("PUT", TOPIC, "body", TOPICS_VERSION),
            TOPIC_BODY,
        ),
        _door(
            "door locks",
            _Asks(
                "POST",
                "/topics/topic-zqalpha/eventsubscriptions/hears-zqalpha:acknowledge",
                "body",
                "",
                {"authorization": "SharedAccessKey a key of thirty-two bytes or longer"},
            ),
            b'{"lockTokens": ["a"]}',
        ),
        _door("door gce", _Asks("GET", GCE, "query", ""), b"fields=name", b"alt=json&prettyPrint=false"),
        _door(
            "door gce path",
            _Asks("GET", "/compute/v1/projects/zqlumen/zones/westus3-dc1", "path", ""),
            b"instances/zqalpha-n0",
            b"operations/operation-x",
        ),
    )


def _door_targets_third() -> tuple[Target, ...]:
    metadata = {"metadata": "true", "proxy-authorization": f"Basic {_node_key()}"}
    return (
        _door(
            "door nodes query",
            _Asks("GET", "/metadata/scheduledevents", "query", "", metadata),
            b"api-version=2020-07-01",
        ),
        _door(
            "door nodes key",
            _Asks(
                "GET",
                "/metadata/scheduledevents",
                "proxy-authorization",
                "api-version=2020-07-01",
                {"metadata": "true"},
            ),
            f"Basic {_node_key()}".encode(),
        ),
        _door(
            "door nodes body",
            _Asks(
                "POST",
                "/metadata/scheduledevents",
                "body",
                "api-version=2020-07-01",
                metadata,
                reads_to=b"No event is called",
            ),
            b'{"StartRequests": [{"EventId": "x"}]}',
            b'{"StartRequests": []}',
        ),
        _door(
            "stranger's authorization",
            _Asks("GET", "/api/v1/run", "authorization", "", signs_in=True),
            b"Bearer fmt_x",
            b"Basic Omg=",
        ),
        _door(
            "stranger's cookie", _Asks("GET", "/api/v1/run", "cookie", "", signs_in=True), b"fermata=x; fermata-in=y"
        ),
    )


def list_door_targets() -> tuple[Target, ...]:
    """In no order."""
    return (*_door_targets_first(), *_door_targets_second(), *_door_targets_third())
