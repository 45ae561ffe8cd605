"""Cumulative requests as last computed: what they hold, without the names of the units behind them; and the states
that they were last seen in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Column, Connection, String, Table, Text, delete, insert, select, update

from fermata.domain.ids import RequestId
from fermata.domain.request_states import RequestState
from fermata.domain.requests import Request
from fermata.store.bulk import insert_rows
from fermata.store.codec import from_json, to_json
from fermata.store.cut_bodies import cut_request
from fermata.store.parts import Part, part_of
from fermata.store.schema import Sequence64, UtcTime, metadata

REQUESTS_KNOWN = 4_096  # decoded: every look at requests reads all of them, and few have changed

request = Table(
    "request",
    metadata,
    Column("id", String, primary_key=True),
    Column("supercomputer", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("incarnation", Sequence64, nullable=False),
    Column("due_at", UtcTime, nullable=True),
    Column("body", Text, nullable=False),
)
request_state = Table(
    "request_state",
    metadata,
    Column("id", String, primary_key=True),
    Column("state", String, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("notified_at", UtcTime, nullable=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenState:
    """The state that a request was last seen in, since when, and when its customers were told (UTC; None: not yet)."""

    state: RequestState
    since: datetime
    notified_at: datetime | None = None


def save_requests(conn: Connection, requests: tuple[Request, ...]) -> None:
    """Replaces the requests of those ids."""
    for changed in requests:
        conn.execute(delete(request).where(request.c.id == changed.id))
    rows = [
        {
            "id": changed.id,
            "supercomputer": changed.supercomputer,
            "kind": changed.kind.value,
            "incarnation": changed.incarnation,
            "due_at": changed.due_at,
            "body": to_json(changed).decode(),
        }
        for changed in requests
    ]
    insert_rows(conn, request, rows)


def load_requests(conn: Connection, names: Iterable[RequestId] | None = None) -> dict[RequestId, Request]:
    """Every request ever opened, those with nothing pending any more included, by id; of `names` those that there are,
    if they are given.
    """
    part = part_of(conn)
    if part is not None:
        return _load_own(conn, part, names)
    query = select(request.c.body).order_by(request.c.id)
    if names is not None:
        query = query.where(request.c.id.in_(sorted(names)))
    bodies = conn.execute(query).scalars()
    found = map(_from_body, bodies)
    return {each.id: each for each in sorted(found, key=lambda each: each.id)}


@lru_cache(maxsize=REQUESTS_KNOWN)
def _from_body(body: str) -> Request:
    return from_json(Request, body)


def _load_own(conn: Connection, part: Part, names: Iterable[RequestId] | None) -> dict[RequestId, Request]:
    """As `load_requests`, for who sees a part of the fleet."""
    seen = frozenset(conn.execute(select(request.c.id)).scalars())
    wanted = sorted(seen if names is None else seen.intersection(names))
    found = part.read(lambda whole: load_requests(whole, [RequestId(name) for name in wanted]))
    tell = part.teller()
    return {name: cut_request(each, part, tell) for name, each in found.items()}


def load_states(conn: Connection) -> Mapping[RequestId, SeenState]:
    """The states that were recorded, by request."""
    rows = conn.execute(select(request_state).order_by(request_state.c.id))
    return {
        RequestId(row.id): SeenState(state=RequestState(row.state), since=row.since, notified_at=row.notified_at)
        for row in rows
    }


def save_states(conn: Connection, states: Mapping[RequestId, SeenState]) -> None:
    """Records the states of these requests."""
    for name in states:
        conn.execute(delete(request_state).where(request_state.c.id == name))
    rows = [
        {"id": name, "state": seen.state.value, "since": seen.since, "notified_at": seen.notified_at}
        for name, seen in states.items()
    ]
    insert_rows(conn, request_state, rows)


def mark_notified(conn: Connection, names: Iterable[RequestId], at: datetime) -> None:
    """Their customers have been told, by a notice that arrived at `at`. Who were told before stay told since then."""
    known = load_states(conn)
    for name in names:
        if name not in known:
            conn.execute(
                insert(request_state).values(id=name, state=RequestState.PENDING.value, since=at, notified_at=at)
            )
        elif known[name].notified_at is None:
            conn.execute(update(request_state).where(request_state.c.id == name).values(notified_at=at))
