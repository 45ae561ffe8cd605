"""Every limit of the server's front with its number, and which kind of work a request asks for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from fermata.domain.access import NO_PROXY, TrustedProxy

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_COSTLY = {
    True: re.compile(
        r"/(query(\.csv)?|fleet(/cells|/names)?|campaign(/curves)?|nodes/[^/]+/why|requests(/grove|/branches)?)"
        r"|/api/v1/(report(/values)?|why|pending|requests|capacity|policy/test|plans/[^/]+(/violations|/calendar)?"
        r"|(runs/[^/]+/)?forecasts|campaigns/[^/]+/run|run)"
        r"|/metrics(/rows\.json)?",
    ),
    False: re.compile(
        r"/api/v1/(query|imports|plans(/[^/]+/(simulation|publish))?|campaigns/[^/]+/plan|(campaigns/[^/]+/)?run/replan"
        r"|policy(/preview)?|qualification|updates|runs/[^/]+/recovery(/options)?|standing|inventory/sources/[^/]+/sync)"
        r"|/v[12]/rest/(query|mgmt)|/providers/microsoft\.resourcegraph/resources"
        r"|/campaign/(what-if|replan|replan/publish)|/requests/cost",
        re.IGNORECASE,
    ),
}
_STREAM = "/board/stream"
_WAITING = re.compile(r"/topics/[^/]+/eventsubscriptions/[^/]+:receive", re.IGNORECASE)


class Kind(StrEnum):
    """What a request asks for, as its rate is counted."""

    READ = "read"
    CHANGE = "change"
    COSTLY = "costly"
    STREAM = "stream"


def kind_of(method: str, path: str) -> Kind:
    """`path` as in the request line, without the query."""
    is_safe = method in SAFE_METHODS
    if is_safe and path == _STREAM:
        return Kind.STREAM
    if _COSTLY[is_safe].fullmatch(path):
        return Kind.COSTLY
    return Kind.READ if is_safe else Kind.CHANGE


def waits_for_news(path: str) -> bool:
    """Whether an answer begins late because there is nothing to tell yet: that takes none of the server's time."""
    return _WAITING.fullmatch(path) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many in one go, and so many more with each second."""

    burst: float
    a_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many requests may be answered at the same time: of one caller, and of all."""

    each: int
    all: int


RATES: Mapping[Kind, Rate] = MappingProxyType(
    {
        Kind.READ: Rate(burst=600, a_second=50),  # a page is ten requests, and somebody opens a few at once
        Kind.CHANGE: Rate(burst=300, a_second=20),  # a script that says a word for each node of a rack
        Kind.COSTLY: Rate(burst=120, a_second=4),  # reads of whole fleets, queries, imports, plans
        Kind.STREAM: Rate(burst=60, a_second=1),  # a browser opens its stream again two seconds after a break
    }
)
ROOMS: Mapping[Kind, Room] = MappingProxyType(
    {
        Kind.READ: Room(each=32, all=512),
        Kind.CHANGE: Room(each=16, all=128),
        Kind.COSTLY: Room(each=2, all=16),  # of 40 threads of handlers; each that computes slows the loop of all
        Kind.STREAM: Room(each=24, all=1000),  # tabs of one browser, and whoever stands behind the same proxy
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of requests. `body`: bytes that one caller may send. `pause_seconds`: how long an answer that tells a caller to
    slow down is held back, and so many `pause_times` longer once its address was told so more often than `pauses`.
    """

    rates: Mapping[Kind, Rate] = field(default_factory=lambda: RATES)
    rooms: Mapping[Kind, Room] = field(default_factory=lambda: ROOMS)
    body: Rate = Rate(burst=192 * 2**20, a_second=2 * 2**20)  # three uploads of the largest size, then one in 32 s
    work: Rate = Rate(burst=20.0, a_second=0.1)  # seconds until costly answers begin: a tenth of the time, in the end
    work_seconds_max: float = 15.0  # of one request: what takes longer is done in a place that is given to one alone
    share: Rate = Rate(
        burst=1.0, a_second=0.04
    )  # of the server's own time: beyond it a caller waits for others who did
    share_busy: float = 0.2  # of that burst, beyond which a caller waits while the server is busy
    share_busy_from: int = 5  # requests that are worked on at the same time: then it is
    share_each: int = 4  # requests of one caller that are worked on at the same time; of 40 threads of handlers
    share_more: int = 4  # requests of all callers together that are worked on beside one of each
    share_kept_seconds: float = 600.0  # that it does
    share_rest: float = 2.0  # the place of all who do rests so many times as long as a request of theirs took
    share_others_seconds: float = 10.0  # if within them somebody else asked for something
    share_waiting: int = 8  # requests of one caller that wait for it
    share_wait_seconds: float = 20.0
    graph_queries: int = 15  # of one client of Resource Graph's door in `graph_seconds`: the default over there
    graph_seconds: float = 5.0
    node_calls: int = 25  # of one node at its door in `node_seconds`: five a second, as over there
    node_seconds: float = 5.0
    callers_max: int = 10_000  # remembered; beyond them the one that was quiet longest is forgotten
    pause_seconds: float = 3.0
    pause_times: float = 3.0
    pauses: Rate = Rate(burst=50, a_second=0.5)
    depth_max: int = 32  # of a JSON body; the formats nest 5 deep
    values_max: int = 400_000  # of a JSON body: commas in it; 20,000 approvals with ten fields each are 200,000
    brackets_max: int = 100_000  # that open in a JSON body: five of each of those approvals; reading them takes 60 ms
    fields_max: int = 1000  # of a form
    judged_at_once: int = 64 * 1024  # bytes of a body: longer ones are judged by a thread
    strangers: Rate = Rate(burst=40, a_second=1)  # requests of one address whose sender is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionBounds:
    """Of connections, in seconds unless the name says otherwise. `trusted`: a proxy, who speaks for many callers and
    may hold as many connections as all together.
    """

    each: int = 128
    all: int = 2000
    trusted: TrustedProxy = NO_PROXY
    head_seconds: float = 10.0  # from a request's first byte, or the connection, to the end of its headers
    idle_seconds: float = 5.0  # of silence between two requests
    body_seconds: float = 20.0  # of a body at its start; it earns more as it comes in
    body_bytes_a_second: int = 64 * 1024  # what a body has to bring to earn a second
    stall_seconds: float = 30.0  # that a client takes nothing of what is written to it
    head_bytes: int = 32 * 1024
    headers: int = 100
    target_bytes: int = 8 * 1024  # path and query
    pause_seconds: float = 9.0  # before a connection too many of one address is told so
    pipelined: int = 16  # requests sent ahead of their answers


BOUNDS = Bounds()
CONNECTION_BOUNDS = ConnectionBounds()
