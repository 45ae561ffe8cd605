"""What the simulator found in seeds 141, 155 and 156, told as stories: a freeze comes between a window's opening and
the lock of its nodes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_approvals import freeze, names
from tests.simulation.test_conduct import states, windows
from tests.simulation.test_repairs import NODE, ask, conduct_until, events, later, ops_of, order, set_up, stored

from fermata.domain.ids import ExemptionId, FreezeId, NodeId, OrderId, StepKey
from fermata.domain.node_states import UnitState
from fermata.domain.observations import Answer, Later, Progress
from fermata.domain.policy import Exemption, Said
from fermata.domain.reasons import Code
from fermata.domain.run_states import RunState, WindowState
from fermata.domain.updates import Catalogue, Criticality, Impact
from fermata.ports import Ask, OutcomeUnknown, WorkloadManager
from fermata.services.capacity import show_capacity
from fermata.services.tail import show_tail
from fermata.store import consent, inventory

pytestmark = pytest.mark.databases("sqlite")

ALL = "all"
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@dataclass(kw_only=True)
class Hesitant:
    """A workload manager that hears nothing of the first lock of `shy`, or of all: `busy`, it says so, else it gives no
    answer; and it says nothing of any lock while `is_silent`.
    """

    real: WorkloadManager
    shy: str
    busy: bool
    is_silent: bool = False
    locked: list[str] | None = None

    def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        mine = [ask for ask in asks if self.shy in (ask.unit, ALL)] if self.locked is None else []
        self.locked = self.locked or []
        rest = [ask for ask in asks if ask not in mine]
        self.locked += [ask.unit for ask in rest]
        answers = dict(self.real.lock(rest)) if rest else {}
        return answers | ({ask.key: Later(after=2 * MINUTE) for ask in mine} if self.busy else {})

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        if self.is_silent:
            raise OutcomeUnknown("observe")
        return self.real.observe(asks)

    def __getattr__(self, verb: str) -> Callable[..., object]:
        return getattr(self.real, verb)  # type: ignore[no-any-return]


def hesitate(rig: stagehand.Rig, shy: str, *, busy: bool) -> Hesitant:
    made = Hesitant(real=rig.site.workloads, shy=shy, busy=busy)
    rig.site = replace(rig.site, workloads=made)  # type: ignore[arg-type]
    return made


def unshared() -> Catalogue:
    """Nothing is written to a device that would need all nodes behind it empty."""
    updates = small.catalogue().updates
    quiet = {name: replace(u, impact=Impact.IMPACTLESS) for name, u in updates.items() if u.target != "node"}
    return replace(small.catalogue(), updates={**updates, **quiet})


def add_freeze(rig: stagehand.Rig, scope: str, hours: int = 1, start: datetime | None = None) -> None:
    began = start or rig.clock.now()
    with rig.database.begin() as conn:
        consent.add_freeze(conn, replace(freeze(scope), start=began, end=began + hours * HOUR))


def once_at(wanted: str, do: Callable[[], None]) -> Callable[[str], None]:
    """A point of the conductor at which something happens the first time."""
    passed: list[str] = []

    def pass_by(point: str) -> None:
        if point == wanted and not passed:
            passed.append(point)
            do()

    return pass_by


def left(rig: stagehand.Rig) -> dict[str, Code | None]:
    found = [op for op in rig.ops() if op.state is UnitState.LEFT_OUT and op.unit in rig.world.nodes]
    return {op.unit: op.reason.code if op.reason else None for op in found}


@pytest.mark.parametrize("busy", [True, False], ids=["put off", "no answer"])
@pytest.mark.parametrize("scope", ["cluster c0", "node c0-n003"])
def test_a_node_whose_first_lock_came_to_nothing_is_left_out_when_a_freeze_comes(
    store_url: str, tmp_path: Path, scope: str, busy: bool
) -> None:
    rig = stagehand.set_up(store_url, tmp_path, catalogue=unshared())
    manager = hesitate(rig, "c0-n003", busy=busy)
    assert rig.conduct(crash=once_at("recorded", lambda: add_freeze(rig, scope))).state is RunState.FINISHED
    assert left(rig) == {"c0-n003": Code.FROZEN_BEFORE_LOCK}
    assert "c0-n003" not in (manager.locked or [])
    assert set(states(rig).values()) <= {UnitState.RETURNED, UnitState.KEPT_OUT, UnitState.LEFT_OUT}
    machine = rig.world.nodes[NodeId("c0-n003")]
    assert (machine.in_service, machine.locked) == (True, False)
    assert windows(rig)["win-c0"].state is WindowState.CLOSED
    total = show_capacity(rig.database).total
    assert (total.untouched, total.owed) == (1, 0)


def test_without_a_freeze_its_lock_is_asked_for_again(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    manager = hesitate(rig, "c0-n003", busy=True)
    rig.conduct()
    assert left(rig) == {}
    assert "c0-n003" in (manager.locked or [])


@pytest.mark.parametrize("point", ["observed", "decided"])
def test_a_freeze_between_the_opening_and_the_first_lock_leaves_all_out(
    store_url: str, tmp_path: Path, point: str
) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    manager = hesitate(rig, "", busy=True)
    rig.conduct(crash=once_at(point, lambda: add_freeze(rig, "cluster c0")))
    assert left(rig).keys() == names(range(8))
    assert manager.locked is None


def test_a_freeze_of_one_node_leaves_out_all_that_go_with_it_and_are_not_locked_either(
    store_url: str, tmp_path: Path
) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(nodes=16))
    manager = hesitate(rig, "", busy=True)
    assert rig.conduct(crash=once_at("observed", lambda: add_freeze(rig, "node c0-n003"))).state is RunState.FINISHED
    assert left(rig).keys() == names(range(8))
    assert set(manager.locked or []) == names(range(8, 16))
    told = {op.unit: op.reason.sentence for op in rig.ops() if op.reason is not None}
    assert "c0-n003 is one of them" in told["c0-n002"]
    assert "is one of them" not in told["c0-n003"]


@pytest.mark.parametrize("busy", [True, False], ids=["put off", "no answer"])
def test_so_it_does_when_the_first_lock_of_all_of_them_came_to_nothing(
    store_url: str, tmp_path: Path, busy: bool
) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(nodes=16))
    manager = hesitate(rig, ALL, busy=busy)
    assert rig.conduct(crash=once_at("recorded", lambda: add_freeze(rig, "node c0-n003"))).state is RunState.FINISHED
    assert left(rig).keys() == names(range(8))
    assert set(manager.locked or []) == names(range(8, 16))


def test_a_node_waits_for_the_end_of_a_freeze_when_those_that_go_with_it_are_locked(
    store_url: str, tmp_path: Path
) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    manager = hesitate(rig, "c0-n003", busy=True)
    rig.conduct(until=small.START + 2 * HOUR, crash=once_at("recorded", lambda: add_freeze(rig, "cluster c0", hours=3)))
    (op,) = ops_of(rig, "c0-n003")
    assert op.reason is not None
    assert (op.state, op.reason.code) == (UnitState.LOCKED, Code.WAITS_FOR_FREEZE)
    assert "c0-n003" in {line.unit for line in show_tail(rig.database).tail}
    assert "c0-n003" not in (manager.locked or [])
    assert rig.conduct().state is RunState.FINISHED
    assert left(rig) == {}
    (op,) = ops_of(rig, "c0-n003")
    assert op.finished_at is not None
    assert op.finished_at >= small.START + 3 * HOUR
    stagehand.assert_nothing_lost(rig)


def test_a_freeze_that_begins_before_the_window_ends_counts_as_it_does_when_one_opens(
    store_url: str, tmp_path: Path
) -> None:
    rig = stagehand.set_up(store_url, tmp_path, catalogue=unshared())
    hesitate(rig, "c0-n003", busy=True)
    soon = small.START + 30 * MINUTE
    rig.conduct(crash=once_at("recorded", lambda: add_freeze(rig, "cluster c0", start=soon)))
    assert left(rig).keys() == {"c0-n003"}


def test_while_nobody_says_whether_a_node_is_locked_it_waits_and_says_why(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path, catalogue=unshared())
    manager = hesitate(rig, "c0-n003", busy=False)

    def fall_silent() -> None:
        manager.is_silent = True
        add_freeze(rig, "node c0-n003", hours=9)

    rig.conduct(until=small.START + 40 * MINUTE, crash=once_at("recorded", fall_silent))
    (op,) = ops_of(rig, "c0-n003")
    assert op.state is UnitState.LOCKED
    assert op.reason is not None
    assert op.reason.code is Code.WAITS_FOR_FREEZE
    manager.is_silent = False
    rig.conduct()
    assert left(rig) == {"c0-n003": Code.FROZEN_BEFORE_LOCK}
    assert "c0-n003" not in (manager.locked or [])


@pytest.mark.databases("sqlite", "postgresql")
def test_nodes_that_are_locked_when_a_freeze_comes_are_finished(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    rig.conduct(crash=once_at("recorded", lambda: add_freeze(rig, "cluster c0", hours=9)))
    assert left(rig) == {}
    stagehand.assert_nothing_lost(rig)


@pytest.mark.parametrize("busy", [True, False], ids=["put off", "no answer"])
def test_a_repair_whose_node_was_not_locked_before_a_freeze_gets_another_window_after_it(
    store_url: str, tmp_path: Path, busy: bool
) -> None:
    rig = set_up(store_url, tmp_path, plan=later(small.fleet(nodes=16), timedelta(days=3)))
    hesitate(rig, NODE, busy=busy)
    ask(rig, order())
    began: list[datetime] = []

    def come() -> None:
        began.append(rig.clock.now())
        add_freeze(rig, f"node {NODE}", hours=5)

    point = once_at("recorded", come)
    rig.conduct(until=small.NOW + 10 * HOUR, crash=point)
    conduct_until(rig, lambda: stored(rig).ended is not None)
    first, second = (op for op in ops_of(rig) if op.window.startswith("rep-"))
    assert (first.window, first.state) == ("rep-wo_1-c0", UnitState.LEFT_OUT)
    assert (second.window, second.state) == ("rep-wo_1-c0-2", UnitState.RETURNED)
    assert second.locked_at is not None
    assert second.locked_at >= began[0] + 5 * HOUR
    told = [event for event in events(rig, f"order:{order().id}") if event != "order.left_to_plan"]
    assert told == ["order.window_opened", "order.window_opened", "order.started", "order.completed"]


@pytest.mark.parametrize("named", [True, False], ids=["named", "another is named"])
def test_a_repair_that_two_people_let_pass_a_freeze_keeps_its_window(
    store_url: str, tmp_path: Path, named: bool
) -> None:
    rig = set_up(store_url, tmp_path, plan=later(small.fleet(nodes=16), timedelta(days=3)))
    exempting = replace(small.policy().customers[small.CUSTOMER], except_criticality=frozenset(Criticality))
    with rig.database.begin() as conn:
        inventory.save_policy(conn, replace(small.policy(), customers={small.CUSTOMER: exempting}))
    hesitate(rig, NODE, busy=True)
    ask(rig, order())
    said = Said(actor="ann", at=small.NOW)

    def come() -> None:
        add_freeze(rig, f"node {NODE}", hours=5)
        exemption = Exemption(
            id=ExemptionId("exm-1"),
            freeze=FreezeId("frz"),
            updates=frozenset(),
            orders=frozenset({order().id if named else OrderId("wo_other")}),
            reason="it smokes",
            asked=said,
        )
        with rig.database.begin() as conn:
            consent.add_exemption(conn, exemption)
            consent.confirm_exemption(conn, exemption.id, replace(said, actor="bo"))

    rig.conduct(until=small.NOW + 10 * HOUR, crash=once_at("recorded", come))
    conduct_until(rig, lambda: stored(rig).ended is not None)
    windows_of = [(op.window, op.state) for op in ops_of(rig) if op.window.startswith("rep-")]
    kept = [("rep-wo_1-c0", UnitState.RETURNED)]
    assert windows_of == (
        kept if named else [("rep-wo_1-c0", UnitState.LEFT_OUT), ("rep-wo_1-c0-2", UnitState.RETURNED)]
    )
