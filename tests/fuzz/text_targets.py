"""One target for each reader of text that comes over a connection: outputs of tools, queries, bodies, cursors, tags."""

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError
from starlette.types import Message, Receive, Scope, Send
from tests.adapters.health.test_parsers import GOOD
from tests.fuzz.target import Broken, Target, of_text
from tests.query import world

from fermata.adapters.health_parsers import PARSERS, Parser
from fermata.domain.health import Unreadable
from fermata.domain.ids import NodeId
from fermata.query.answers import QueryFault, Question
from fermata.query.duck import Bounds as DuckBounds
from fermata.query.duck import Duck
from fermata.query.tables import build_tables
from fermata.query.text import prepare
from fermata.server.api.cursors import read_cursor, write_cursor
from fermata.server.api.tags import seen_incarnation
from fermata.server.callers import BadToken, NodeKeys
from fermata.server.conditional import is_known
from fermata.server.doors import event_grid_pull, imds
from fermata.server.errors import CursorUnknown, TagStale
from fermata.server.guard import Guard
from fermata.server.limits.bounds import BOUNDS, kind_of
from fermata.server.limits.rates import network_of
from fermata.server.limits.refusals import OverLimit
from fermata.server.limits.shape import judge_body

NHC = "ERROR:  nhc:  Health check failed:  check_fs_mount:  /scratch not mounted\n"
OUTPUT_WORDS = (
    "Pass",
    "Fail",
    "status",
    "results",
    "<gpu>",
    "</gpu>",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "nan",
    "1e999",
    "-",
    "[",
    "{",
    "\0",
)
SECRET = b"thirty-two bytes of no secret at all"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
KQL = (
    "resources | where type =~ 'microsoft.compute/virtualmachines' | summarize count() by location",
    "maintenanceresources | extend a = parse_json(properties) | mv-expand b = a.c | project b | take 5",
    "pendingupdates | join kind=inner (resources | project id, name) on id | sort by name desc | limit 3",
    "let a = 3; resources | where tostring(properties.x) between ('a' .. 'b') | distinct name",
)
KQL_WORDS = (
    "|", "where ", "summarize ", "join ", "union ", "mv-expand ", "let ", "extend ", "range ", "datetime(2026-01-01)",
    "ago(1d)", "dynamic([1])", "between", "..", "(", ")", "[", "]", "{", "}", "'", '"', "```", "@'", "\\", ";", "//",
    "=~", "!has", "in~", "todynamic(", "repeat(", "strcat(", "99999999999999999999", "1e999", "\0", "\u202e", "h'",
)  # fmt: skip
JSON_WORDS = ("[", "]", "{", "}", '"', "\\", ",", ":", "null", "1e999", "NaN", '"a":', "\\ud800", "\0", "-0", "[[[[")
PULLED = json.dumps({"lockTokens": ["a", "b"]})
HEADS = (
    b"Host: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nContent-Length: 3",
    b"Host: [::1]:80\r\nSec-Fetch-Site: none",
)
HEAD_WORDS = ("[", "]", "::1", "host: ", "origin: ", "http://", "@", "content-length: ", "9" * 30, "²", "%", "\r\n")


@cache
def _duck() -> Duck:
    with TemporaryDirectory(prefix="fermata-fuzz-") as folder:
        facts = world.facts(Path(folder))
    return Duck(build_tables(facts).tables, DuckBounds(threads=1, memory_mib=256))


def _ask(text: str) -> object:
    return _duck().ask(Question(text=text, now=world.NOW, limit=100), seconds=5)


def _judge_json(data: bytes) -> None:
    """What is let through nests no deeper than is said, and what is refused is no JSON or does."""
    try:
        judge_body(data, "application/json", BOUNDS)
        is_through = True
    except OverLimit:
        is_through = False
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    if is_through != (_depth(value) <= BOUNDS.depth_max) and data.count(b",") <= BOUNDS.values_max:
        raise Broken(f"let through: {is_through}, depth {_depth(value)}")


def _depth(value: object) -> int:
    deepest, level = 0, [value]
    while level := [v for v in level if isinstance(v, list | dict)]:
        deepest += 1
        level = [inner for v in level for inner in (v.values() if isinstance(v, dict) else v)]
    return deepest


def _answer_head(data: bytes) -> int:
    """The guard's status; the application behind it says 200."""
    parts = (line.partition(b":") for line in data.split(b"\r\n"))
    headers = [(name.strip().lower(), value.strip()) for name, _, value in parts]
    scope: Scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    told = list[Message]()

    async def behind(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        told.append(message)

    asyncio.run(Guard(behind, hosts=frozenset({"127.0.0.1", "::1"}))(scope, receive, send))
    status: int = told[0]["status"]
    return status


def _text_target(
    name: str,
    read: Callable[[str], object],
    seeds: tuple[str, ...],
    refusals: tuple[type[Exception], ...] = (),
    words: tuple[str, ...] = JSON_WORDS,
) -> Target:
    return Target(
        name=name,
        run=of_text(read),
        seeds=tuple(seed.encode() for seed in seeds),
        refusals=refusals,
        words=tuple(word.encode() for word in words),
    )


def list_text_targets() -> tuple[Target, ...]:
    """In no order."""
    keys = NodeKeys(SECRET)
    basic = base64.b64encode(f"alpha-n1:{keys.key_of(NodeId('alpha-n1'))}".encode()).decode()
    token = keys.sign(keys.claims(NodeId("alpha-n1"), audience="a", now=NOW, seconds=60))
    parsers = [
        _text_target(f"output of {parser.value}", partial(_parse, parser), (text or NHC,), (Unreadable,), OUTPUT_WORDS)
        for parser, text in GOOD.items()
    ]
    return (
        *parsers,
        _text_target("kql text", prepare, KQL, (QueryFault,), KQL_WORDS),
        _text_target("kql answered", _ask, KQL, (QueryFault,), KQL_WORDS),
        _text_target(
            "approval of scheduled events",
            imds.Body.model_validate_json,
            ('{"StartRequests": [{"EventId": "abc"}]}',),
            (ValidationError,),
        ),
        _text_target("locks", event_grid_pull.LocksBody.model_validate_json, (PULLED,), (ValidationError,)),
        _text_target(
            "cursor",
            lambda text: read_cursor(text, (str, int)),
            (write_cursor(("a", 3)),),
            (CursorUnknown,),
            ("=", "-"),
        ),
        _text_target("tag of a request", seen_incarnation, ('"3-0123456789abcdef"', 'W/"1-x"', "*"), (TagStale,)),
        _text_target("known tags", lambda text: is_known('"a"', text), ('"a", W/"b"', "*")),
        _text_target("credentials of a node", keys.find, (f"Basic {basic}",)),
        _text_target("token of a node", lambda text: keys.read(text, NOW), (token,), (BadToken,), (".", "=")),
        _text_target("address", network_of, ("2001:db8::1", "::1", "fe80::1%eth0", "10.0.0.1"), (), (":", "::", "%")),
        _text_target("path", lambda text: kind_of("GET", text), ("/api/v1/pending", "/fleet/cells"), (), ("/", "api")),
        Target(name="json body", run=_judge_json, seeds=(b'{"a": [1, {"b": "]"}]}', b"[" * 40 + b"]" * 40)),
        Target(name="head", run=_answer_head, seeds=HEADS, words=tuple(word.encode() for word in HEAD_WORDS)),
    )


def _parse(parser: Parser, text: str) -> object:
    return PARSERS[parser](text, 1)
