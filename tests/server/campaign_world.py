"""A small campaign with a plan of its own in force, and a run that has come as far as a test wants it."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import httpx
from tests.constraints import world as w
from tests.server.conftest import HandClock

from fermata.domain.campaign import Limit, LimitKind, Where
from fermata.domain.ids import CampaignId, CustomerId, WindowId
from fermata.domain.operations import Sample
from fermata.domain.plans import Plan
from fermata.domain.policy import Blocked
from fermata.domain.run_states import ReplanMode, WindowState
from fermata.planning.inputs import Planned
from fermata.server.app import create_app
from fermata.server.live import Timing
from fermata.server.serving import BackgroundServer, bind_socket, url_of
from fermata.services.inventory import ImportSet, import_set
from fermata.services.plans import make_plan, publish
from fermata.services.runs import start
from fermata.store import runs
from fermata.store.database import Database

SECONDS_MAX = 60
SMALL = CampaignId("small")
API = Where(conditions={"workload": frozenset({"api"})})
LIMITS = (
    Limit(what=LimitKind.NODES_OUT, at_once=12),
    Limit(what=LimitKind.NODES_OUT, at_once_fraction=0.6, where=API),
    Limit(what=LimitKind.CLUSTER_WINDOWS, at_once=2),
    Limit(what=LimitKind.WHOLE_BIG_CLUSTERS, per_day=1),
)
SCENARIO = w.scenario(
    policy=replace(w.scenario().policy, customers={CustomerId("lumen"): w.customer(Blocked.NONE)}),
    campaign=replace(w.scenario().campaign, limits=LIMITS),
    ledger=(),
)
_numbers = count(1)


def new_id(prefix: str) -> str:
    return f"{prefix}_{next(_numbers)}"


@dataclass
class Served:
    """A server, its store, its clock and the plan in force."""

    url: str
    db: Database
    clock: HandClock
    plan: Plan


def put_in_force(db: Database, *, begin: bool = True) -> Plan:
    """Imports, plans, publishes and, with `begin`, starts."""
    given = ImportSet(
        fleet=SCENARIO.fleet, catalogue=SCENARIO.catalogue, policy=SCENARIO.policy, campaign=SCENARIO.campaign
    )
    import_set(db, given, now=w.NOW, actor="tests")
    made = make_plan(db, SMALL, now=w.NOW, new_id=new_id)
    assert isinstance(made, Planned)
    publish(db, made.plan.id, now=w.NOW, actor="tests")
    if begin:
        start(db, SMALL, now=w.NOW, actor="tests", new_id=new_id, replan=ReplanMode.OFF)
    return made.plan


def become(
    db: Database, window: WindowId, state: WindowState, opened: datetime | None = None, closed: datetime | None = None
) -> None:
    """A window's row comes to `state`."""
    with db.begin() as conn:
        run = runs.live_run(conn, SMALL)
        assert run is not None
        row = runs.load_window(conn, run.id, window)
        assert row is not None
        changed = replace(row, state=state, opened_at=opened, closed_at=closed, taken=row.nodes if opened else 0)
        if closed is not None:
            changed = replace(changed, behind_minutes=(closed - row.planned_end) // timedelta(minutes=1))
        runs.save_window(conn, changed)


def look(db: Database, at: datetime, out: int, limits: tuple[int, ...]) -> None:
    """What was out at an instant, which is where the run has come."""
    with db.begin() as conn:
        run = runs.live_run(conn, SMALL)
        assert run is not None
        sample = Sample(at=at, nodes_out=out, in_service=9, in_tail=0, windows_open=1, limits=limits)
        runs.add_sample(conn, run.id, sample)
        runs.touch_clock(conn, run.id, at)


@contextmanager
def serving(db: Database, plan: Plan, at: datetime) -> Iterator[Served]:
    """The server over the store, on a loopback port."""
    clock = HandClock(at)
    listener = bind_socket("127.0.0.1", 0)
    server = BackgroundServer(create_app(db, clock, new_id=new_id, timing=Timing(refresh=0.0)), listener)
    server.start()
    yield Served(url=url_of(listener), db=db, clock=clock, plan=plan)
    server.stop()


def ran(db: Database, plan: Plan) -> datetime:
    """The first window ran and is over, the second was missed. Returns an instant after both."""
    first, second = sorted(plan.windows, key=lambda window: window.start)[:2]
    become(db, first.id, WindowState.CLOSED, first.start, first.end + timedelta(minutes=20))
    become(db, second.id, WindowState.MISSED)
    now = max(first.end, second.end) + timedelta(hours=1)
    limits = tuple(1 + number for number, _ in enumerate(SCENARIO.campaign.limits))
    look(db, first.start, len(first.nodes), limits)
    look(db, now, 0, tuple(0 for _ in limits))
    return now


def wait_over(client: httpx.Client, address: str) -> str:
    """Asks as the page does until the work is over; the page then."""
    path, _, query = address.partition("?")
    for _ in range(SECONDS_MAX * 10):
        if "HX-Refresh" in client.get(f"{path}/work?{query}").headers:
            return client.get(address).text
        time.sleep(0.1)
    raise AssertionError(f"{address} goes on for too long")


def plan_again(client: httpx.Client) -> str:
    client.post("/campaign/replan", data={"campaign": "small", "actor": "ann"})
    return wait_over(client, "/campaign/replan?campaign=small")


def proposal_of(text: str) -> int:
    found = re.search(r"proposal=(\d+)", text)
    assert found is not None, "no link to the second look"
    return int(found.group(1))
