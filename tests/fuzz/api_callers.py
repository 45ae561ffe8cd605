"""Who asks the whole API in `make fuzz-api`, what each of them may know, and the server that they sign in to."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.server.unbounded import FREE
from tests.tenants import calls, world
from tests.tenants.conftest import StandingClock

from fermata.authority.engine import shipped
from fermata.authority.needs_elsewhere import NEEDS
from fermata.domain.access import AccessBook, GranteeKind, GrantLine
from fermata.domain.identity import Grant, GrantLevel, Principal, PrincipalKind, Role
from fermata.formats.brake import BrakeFile
from fermata.server.app import create_app
from fermata.server.callers import NodeAccess
from fermata.server.identity.admission import Admission
from fermata.server.identity.cookies import SESSION, csrf_of
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.services.identity import NewToken, begin_session, make_token
from fermata.store import journal
from fermata.store.database import Database

NODES = NodeAccess(secret=b"a secret of tests, long enough by far")
LETS_IN = ("identity.token_made", "identity.signed_in")
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """`name` is the actor of what it orders, "" for nobody. `others`: words of what it may not know of."""

    key: str
    name: str
    grants: frozenset[Grant] = frozenset()
    others: tuple[str, ...] = ()
    by_session: bool = False

    @property
    def roles(self) -> frozenset[Role]:
        """All that it was granted somewhere."""
        return frozenset(grant.role for grant in self.grants)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the process that asks is told: how the caller is known, and what it checks of each answer.

    `forbidden`: operations (`POST /api/v1/freezes`) that none of its roles may do anywhere. `names`: what stands in the
    store, by the words that parameters and members of bodies have for it.
    """

    url: str
    headers: Mapping[str, str]
    caller: str
    others: Sequence[str]
    forbidden: Sequence[str]
    names: Mapping[str, Sequence[str]]

    def to_json(self) -> str:
        """For a file between two processes."""
        return json.dumps(asdict(self))


def _of(key: str, name: str, role: Role, level: GrantLevel, of: str, others: Sequence[str]) -> Caller:
    return Caller(key=key, name=name, grants=frozenset({Grant(role=role, level=level, name=of)}), others=tuple(others))


def _whole(role: Role) -> Caller:
    grant = Grant(role=role, level=GrantLevel.EVERYTHING)
    return Caller(key=f"{role}-of-everything", name=f"some-{role}", grants=frozenset({grant}))


def list_callers() -> Mapping[str, Caller]:
    """Nobody, people of one customer, of a cluster and a supercomputer, each role of the whole, and one who may all."""
    lumen, meridian = world.WORDS[world.LUMEN], world.WORDS[world.MERIDIAN]
    within = [
        _of("viewer-of-a-customer", world.ALEX, Role.VIEWER, GrantLevel.CUSTOMER, "zqlumen", meridian),
        _of("approver-of-a-customer", world.MARA, Role.APPROVER, GrantLevel.CUSTOMER, world.MERIDIAN, lumen),
        _of("conductor-of-a-customer", world.ALEX, Role.CONDUCTOR, GrantLevel.CUSTOMER, "zqlumen", meridian),
        _of(
            "operator-of-a-cluster", "gail", Role.OPERATOR, GrantLevel.CLUSTER, "zqgamma", (*lumen, "zqbeta", "zqapart")
        ),
        _of(
            "automation-of-a-supercomputer", "robot", Role.AUTOMATION, GrantLevel.SUPERCOMPUTER, "zqapart",
            (*lumen, "zqgamma", "zqshared"),
        ),
    ]  # fmt: skip
    everything = frozenset(Grant(role=role, level=GrantLevel.EVERYTHING) for role in Role)
    whole = Caller(key="the-whole", name="somebody", grants=everything, by_session=True)
    roles = (Role.AUDITOR, Role.UPDATE_OWNER, Role.CONDUCTOR)
    every = (Caller(key="nobody", name=""), *within, *(_whole(role) for role in roles), whole)
    return {caller.key: caller for caller in every}


@contextmanager
def serving(caller: Caller, store: Path) -> Iterator[tuple[Asked, Mapping[str, Any]]]:
    """A server over that store, to which people sign in, and its description of itself.

    Rates are off: they would have the clock say what is answered.
    """
    db = Database(f"sqlite:///{store}")
    numbers, clock = count(1), StandingClock()
    lines = [GrantLine(kind=GranteeKind.USER, name=caller.name, grant=grant) for grant in sorted(caller.grants)]
    access = Admission(book=AccessBook(lines=tuple(lines)))
    brake = BrakeFile(store.with_suffix(".brake.json"))
    app = create_app(
        db,
        clock,
        new_id=lambda prefix: f"{prefix}_new{next(numbers)}",
        nodes=NODES,
        access=access,
        brake=brake,
        bounds=FREE,
    )
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(app, listener)
    server.start()
    try:
        asked = Asked(
            url=url_of(listener),
            headers=_credentials(db, caller),
            caller=caller.name,
            others=caller.others,
            forbidden=list_forbidden(caller),
            names=_names(db, caller),
        )
        yield asked, app.openapi()
    finally:
        server.stop()
        db.close()


def _credentials(db: Database, caller: Caller) -> Mapping[str, str]:
    if not caller.name:
        return {}
    if caller.by_session:
        secret = begin_session(db, caller.name, (), terms=AccessBook().session, now=world.NOW)
        return {"Cookie": f"{SESSION}={secret}", "X-Fermata-Csrf": csrf_of(secret)}
    person = Principal(name=caller.name, kind=PrincipalKind.PERSON, grants=caller.grants)
    wanted = NewToken(label="asks all", grants=caller.grants, life=ONE_DAY)
    made = make_token(db, wanted, person, now=world.NOW, new_id=lambda prefix: f"{prefix}_asking")
    return {"Authorization": f"Bearer {made.secret}"}


def list_forbidden(caller: Caller) -> Sequence[str]:
    """Operations that take an action which none of its roles is let do: whatever they are sent, nothing comes of it."""
    engine = shipped()
    return [
        f"{method} {path}"
        for (method, path), need in NEEDS.items()
        if not need.is_open and not any(caller.roles & set(engine.roles_of(action)) for action in need.actions)
    ]


def _names(db: Database, caller: Caller) -> Mapping[str, Sequence[str]]:
    """Of each kind its own, others' and one that is nobody's."""
    every = (*calls.PLACES, calls.NOWHERE)
    clusters = [place["cluster"] for place in every]
    nodes = [f"{cluster}-n{number}" for cluster in clusters for number in (0, 1)]
    windows = [f"w-{cluster}" for cluster in clusters]
    places = {key: sorted({place[key] for place in every}) for key in ("customer", "supercomputer", "cluster")}
    listed = {
        "offer_id": "SELECT id FROM consent_entry",
        "freeze_id": "SELECT id FROM freeze",
        "order_id": "SELECT id FROM work_order",
        "notice_id": "SELECT seq FROM notice LIMIT 30",
        "subscription_id": "SELECT id FROM subscription",
        "request_id": "SELECT id FROM request",
        "update_id": "SELECT id FROM software_update",
    }
    with db.read() as conn:
        tables = set(sa.inspect(conn).get_table_names())
        found = {
            key: [str(value) for (value,) in conn.execute(sa.text(query))]
            for key, query in listed.items()
            if query.split(" FROM ")[1].split()[0] in tables
        }
    updates = found.get("update_id") or ["host-os-2026.1", "nic-28.43", "leaf-31.2016"]
    return {
        **places,
        **found,
        "actor": [caller.name or "nobody"],
        "update_id": updates,
        "update": updates,
        "updates": updates,
        "node": nodes,
        "nodes": nodes,
        "unit": nodes,
        "name": [*clusters, *nodes, *(name for key in ("customer", "supercomputer") for name in places[key])],
        "window": windows,
        "customers": places["customer"],
        "clusters": clusters,
        "run": [str(world.RUN)],
        "plan": [world.PLAN],
        "plan_id": [world.PLAN],
        "campaign": ["january-repave"],
        "subject": [f"node:{nodes[0]}", *(f"cluster:{cluster}" for cluster in clusters)],
        "query": list(calls.NASTY),
    }


def judge_journal(store: Path, caller: Caller) -> list[str]:
    """What stands in the journal under the caller's name and should not: what its roles may not do, or on others'."""
    db = Database(f"sqlite:///{store}")
    with db.read() as conn:
        lines = list(journal.read(conn, limit=journal.LINES_MAX))
    db.close()
    begins = next((line.seq for line in lines if line.event in LETS_IN), 0)  # before that the world was made
    own = [
        line
        for line in lines
        if line.seq > begins and line.actor == caller.name and not line.event.startswith("identity.")
    ]
    looks_only = caller.roles <= {Role.VIEWER, Role.AUDITOR}
    wrong = [f"{line.event} {line.subject} by who only looks" for line in own if looks_only]
    return wrong + [
        f"{line.event} {line.subject} by who has no part in it"
        for line in own
        if any(word in line.subject for word in caller.others)
    ]
