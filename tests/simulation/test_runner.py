"""A campaign that plans again by itself: what failed goes later, what is published stays, nobody is asked twice."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from tests.simulation import small, stagehand
from tests.simulation.replanned import CLUSTERS, DAY, freeze, in_force, rows, set_up, windows_of

from fermata.domain.ids import ClusterId, DeviceId, NodeId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import DeviceSeen, NodeSeen
from fermata.domain.plans import Plan
from fermata.domain.policy import Notice, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.domain.replans import ReplanOutcome
from fermata.domain.run_states import Desired, ReplanMode, RunState, WindowState
from fermata.ports import Inventory
from fermata.services import intents
from fermata.services import replans as services
from fermata.services import runs as run_verbs
from fermata.services.intents import Wanted
from fermata.services.plans import check_stored_plan
from fermata.sim.clock import VirtualClock
from fermata.sim.fates import Faults
from fermata.store import consent, inventory, journal, plans, replans, runs
from fermata.store.database import Connection
from fermata.store.journal import Entry

HARSH = Faults(
    fails=0.05, hangs=0.02, false_done=0.03, slow_drain=0.1, unhealthy=0.03, device_fails=0.1, lost=0.02, busy=0.02,
    fallout=0.1, mean_days_to_repair=0.3,
)  # fmt: skip


class Silent:
    """An inventory that sees nobody until a time."""

    def __init__(self, inner: Inventory, clock: VirtualClock, *, until: datetime) -> None:
        self._inner, self._clock, self._until = inner, clock, until

    def observe_nodes(self, names: Sequence[NodeId]) -> Mapping[NodeId, NodeSeen]:
        seen = self._inner.observe_nodes(names)
        return seen if self._clock.now() >= self._until else {}

    def observe_devices(self, names: Sequence[DeviceId]) -> Mapping[DeviceId, DeviceSeen]:
        return self._inner.observe_devices(names)


def told(rig: stagehand.Rig) -> list[str]:
    """Everything that came of planning again, oldest first, as the journal has it."""
    with rig.database.read() as conn:
        lines = journal.read(conn, limit=10_000, subject=f"run:{rig.run}")
    return [line.event for line in lines if line.event.startswith("replan.")]


def starts(plan: Plan) -> dict[str, datetime]:
    return {window.cluster: window.start for window in plan.windows}


def returned(rig: stagehand.Rig) -> set[str]:
    return {op.unit for op in rig.ops() if op.kind is UnitKind.NODE and op.state is UnitState.RETURNED}


def withdraw(rig: stagehand.Rig, cluster: str) -> None:
    scope = Scope(level=ScopeLevel.CLUSTER, name=cluster)
    with rig.database.begin() as conn:
        consent.append_entry(conn, small.approval(small.catalogue(), Verdict.WITHDRAWN, seq=2, scope=scope))


def test_a_cluster_frozen_on_its_day_gets_another_and_no_other_window_moves(tmp_path: Path) -> None:
    rig = set_up(tmp_path, ReplanMode.AUTO)
    freeze(rig, "c0", small.START, small.START + timedelta(hours=10))
    assert rig.conduct().state is RunState.FINISHED
    now, before = starts(in_force(rig)), starts(rig.plan)
    moved_to = now.pop(ClusterId("c0"))
    assert moved_to >= before.pop(ClusterId("c0")) + DAY, "nobody is told later than the notice"
    assert now == before
    assert returned(rig) == set(rig.world.nodes)


def test_a_date_inside_the_notice_is_not_taken_back_without_a_person(tmp_path: Path) -> None:
    rig = set_up(tmp_path, ReplanMode.AUTO)
    freeze(rig, "c0", small.START, small.START + timedelta(hours=10))
    rig.conduct(until=small.NOW + timedelta(minutes=30))
    assert told(rig) == ["replan.proposed"]
    assert in_force(rig) == rig.plan
    with rig.database.read() as conn:
        last = replans.latest_replan(conn, rig.run)
    assert last is not None
    assert [cause.code for cause in last.causes] == [Code.NODES_BARRED]
    assert last.needs is not None
    assert last.needs.code is Code.REPLAN_BREAKS_DATES


def test_nodes_whose_approval_is_withdrawn_are_left_out_with_the_reason(tmp_path: Path) -> None:
    rig = set_up(tmp_path, ReplanMode.AUTO)
    withdraw(rig, "c2")
    assert rig.conduct().state is RunState.FINISHED
    last = in_force(rig)
    assert {(group.cluster, group.reason.code) for group in last.unplanned} == {("c2", Code.APPROVAL_WITHDRAWN)}
    others = {name for name in rig.world.nodes if not name.startswith("c2-")}
    assert returned(rig) == others
    assert windows_of(last, "c2") == []


def test_consent_that_comes_back_brings_the_nodes_back_into_the_plan(tmp_path: Path) -> None:
    rig = set_up(tmp_path, ReplanMode.AUTO)
    withdraw(rig, "c2")
    rig.conduct(until=small.START)
    assert windows_of(in_force(rig), "c2") == []
    with rig.database.begin() as conn:
        at = rig.clock.now()
        consent.append_entry(conn, replace(small.approval(small.catalogue(), seq=3), at=at))
        journal.append(conn, Entry(at=at, actor="test", event="consent.approved", subject="supercomputer:sc", why=""))
    assert rig.conduct().state is RunState.FINISHED
    assert returned(rig) == set(rig.world.nodes)


def test_a_site_that_says_nothing_for_hours_costs_a_day_and_no_node(tmp_path: Path) -> None:
    rig = set_up(tmp_path, ReplanMode.AUTO)
    rig.site = replace(rig.site, inventory=Silent(rig.site.inventory, rig.clock, until=small.START + DAY / 2))
    assert rig.conduct().state is RunState.FINISHED
    assert rows(rig)[windows_of(rig.plan, "c0")[0].id].state is WindowState.SKIPPED
    assert returned(rig) == set(rig.world.nodes)
    now, before = starts(in_force(rig)), starts(rig.plan)
    assert now.pop(ClusterId("c0")) > before.pop(ClusterId("c0"))
    assert now == before


def test_proposals_are_told_once_for_the_same_facts_and_wait_for_a_person(tmp_path: Path) -> None:
    rig = set_up(tmp_path, ReplanMode.PROPOSE)
    freeze(rig, "c0", small.START, small.START + timedelta(hours=10))
    rig.conduct(until=small.START + timedelta(hours=12))
    assert told(rig) == ["replan.proposed", "replan.proposed"], "for the freeze, then for the window that did not run"
    rig.restart()
    rig.conduct(until=small.START + timedelta(hours=13))
    assert told(rig) == ["replan.proposed", "replan.proposed"]
    assert in_force(rig) == rig.plan
    status = run_verbs.status(rig.database)
    assert [need.code for need in status.needs] == [Code.REPLAN_WAITS]
    made = services.replan(
        rig.database, None, now=rig.clock.now(), actor="operator-1", new_id=lambda kind: f"{kind}_x", publish=True
    )
    assert made.outcome is ReplanOutcome.PUBLISHED
    assert status.last_replan is not None
    assert made.plan == status.last_replan.plan == in_force(rig).id
    assert run_verbs.status(rig.database).needs == ()
    assert rig.conduct().state is RunState.FINISHED
    assert returned(rig) == set(rig.world.nodes)


def test_switched_off_nobody_plans_again(tmp_path: Path) -> None:
    rig = set_up(tmp_path, ReplanMode.OFF)
    freeze(rig, "c0", small.START, small.START + timedelta(hours=10))
    assert rig.conduct().state is RunState.FINISHED
    assert told(rig) == []
    assert rows(rig)[windows_of(rig.plan, "c0")[0].id].state is WindowState.SKIPPED


class Killed(Exception):
    """As kill -9, at that point."""


@pytest.mark.parametrize("point", ["save_plan", "publish_plan", "add_replan"])
def test_killed_while_planning_again_nothing_is_half_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    rig = set_up(tmp_path, ReplanMode.AUTO)
    freeze(rig, "c0", small.START, small.START + timedelta(hours=10))
    module = replans if point == "add_replan" else plans
    usual = getattr(module, point)

    def kill(conn: Connection, *given: object) -> None:
        usual(conn, *given)
        if rig.clock.now() >= small.START:
            raise Killed

    monkeypatch.setattr(module, point, kill)
    with pytest.raises(Killed):
        rig.conduct()
    with rig.database.read() as conn:
        run = runs.load_run(conn, rig.run)
        stored = [line.id for line in plans.list_plans(conn) if line.created_at >= small.START]
    assert run is not None
    assert (run.plan, in_force(rig).id, stored) == (rig.plan.id, rig.plan.id, [])
    monkeypatch.undo()
    rig.restart()
    assert rig.conduct().state is RunState.FINISHED
    assert returned(rig) == set(rig.world.nodes)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(4))
def test_whatever_fails_every_published_date_is_kept_or_has_its_cause(tmp_path: Path, seed: int) -> None:
    """Faults of every kind, and customers who freeze and withdraw at a seeded time."""
    rig = set_up(tmp_path, ReplanMode.AUTO, faults=HARSH, seed=seed)
    dice = Random(seed)
    at = small.START + timedelta(hours=dice.randrange(0, 72))
    freeze(rig, f"c{dice.randrange(CLUSTERS)}", at, at + timedelta(hours=dice.randrange(4, 40)))
    rig.conduct(until=small.START + timedelta(hours=dice.randrange(1, 60)))
    withdraw(rig, f"c{dice.randrange(CLUSTERS)}")
    rig.conduct()
    with rig.database.read() as conn:
        published = {line.parent: line.id for line in plans.list_plans(conn) if line.published_at}
        chain = [plans.load_plan(conn, published[None])]
        while chain[-1].id in published:
            chain.append(plans.load_plan(conn, published[chain[-1].id]))
        last = {row.window: row for row in runs.load_windows(conn, rig.run)}
    assert chain[-1] == in_force(rig)
    for parent, child in itertools.pairwise(chain):
        assert check_stored_plan(rig.database, child.id, only=frozenset()) == ()
        kept = {name: window.start for window in child.windows for name in window.nodes}
        broken = [
            window.id
            for window in parent.windows
            if child.created_at <= window.start < child.created_at + DAY
            and any(kept.get(name, window.start) != window.start for name in window.nodes)
        ]
        assert broken == [], f"seed {seed}: {parent.id} to {child.id}"
    final = chain[-1]
    explained = {name for window in final.windows for name in window.nodes}
    explained |= {name for group in final.unplanned for name in group.nodes}
    ops = {op.unit: op for op in rig.ops()}
    served = {name for name, op in ops.items() if op.finished_at is not None or op.tail_since is not None}
    assert set(rig.world.nodes) <= explained | served, f"seed {seed}"
    assert all(row.state is not WindowState.PLANNED for row in last.values()), f"seed {seed}"


def early_rig(tmp_path: Path, notice: Notice) -> stagehand.Rig:
    """Two windows of one day that the plan has one after the other, with room for both."""
    found, updates, of = small.fleet(clusters=2, out_of_service=0), small.catalogue(), small.campaign()
    made = small.plan(found, updates, of, [small.START, small.START + timedelta(hours=4)])
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=found, campaign=of, plan=made)
    with rig.database.begin() as conn:
        inventory.save_policy(conn, replace(small.policy(), notice=notice))
    return rig


NO_NOTICE = Notice(regular_update=0, regular_hardware=0, critical_repair=0, critical_update=0)


def test_a_later_window_opens_early_where_nobody_was_promised_notice(tmp_path: Path) -> None:
    rig = early_rig(tmp_path, NO_NOTICE)
    assert rig.conduct().state is RunState.FINISHED
    opened = rows(rig)["win-c1"]
    assert opened.opened_at is not None
    assert small.START <= opened.opened_at < opened.planned_start, "not before the day's hours"
    assert returned(rig) == set(rig.world.nodes)


def test_a_later_window_keeps_its_time_where_notice_was_promised(tmp_path: Path) -> None:
    rig = early_rig(tmp_path, Notice())
    rig.conduct()
    opened = rows(rig)["win-c1"]
    assert opened.opened_at == opened.planned_start


def test_a_window_that_somebody_holds_does_not_open_early(tmp_path: Path) -> None:
    """Its customers may still take their word back: nothing there has begun."""
    rig = early_rig(tmp_path, NO_NOTICE)

    def say(desired: Desired) -> None:
        wanted = Wanted(window=WindowId("win-c1"))
        intents.say(rig.database, wanted, desired, now=rig.clock.now(), actor="ann", why="a look first")

    say(Desired.PAUSE)
    rig.conduct(until=rows(rig)["win-c1"].planned_start - timedelta(minutes=40))
    assert rows(rig)["win-c1"].state is WindowState.PLANNED
    say(Desired.RUN)
    assert rig.conduct().state is RunState.FINISHED
    assert returned(rig) == set(rig.world.nodes)


def test_a_window_does_not_open_early_into_a_freeze_or_before_its_approval_allows(tmp_path: Path) -> None:
    rig = early_rig(tmp_path, NO_NOTICE)
    freeze(rig, "c1", small.NOW, small.START + timedelta(hours=3))
    rig.conduct()
    opened = rows(rig)["win-c1"]
    assert opened.opened_at is not None
    assert opened.opened_at >= small.START + timedelta(hours=3)
    assert opened.taken == opened.nodes
