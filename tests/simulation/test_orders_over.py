"""Orders that people end while the conductor runs: what waited for that goes on at once."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from tests.simulation import small, stagehand
from tests.simulation.meddling import MeddlingClock
from tests.simulation.test_repairs import NEVER, NODE, ORDER, QUICK, ask, ops_of, order, set_up, stored

from fermata.domain import decide_waiting
from fermata.domain.ids import StepKey
from fermata.domain.node_states import UnitState
from fermata.domain.observations import Answer, Denied, Later, Unsure
from fermata.domain.operations import UnitOp
from fermata.domain.run_states import RunState
from fermata.execution import orders
from fermata.execution.stage import Stage
from fermata.ports import Notice, Notifier, OutcomeUnknown, TryLater
from fermata.services.work_orders import complete_order

pytestmark = pytest.mark.databases("sqlite")

HOUR = timedelta(hours=1)


def done_meanwhile(rig: stagehand.Rig) -> MeddlingClock:
    """People say that the order is done as soon as it has begun."""

    def done(_: UnitOp, now: datetime) -> None:
        complete_order(rig.database, ORDER, now=now, actor="operator-1")

    clock = MeddlingClock(rig, lambda op: op.unit == NODE and stored(rig).started is not None, done)
    rig.clock = clock
    _, rig.site = stagehand.open_sim(rig.plan, rig.folder, rig.database, clock, rig.faults, rig.seed)
    return clock


def test_node_comes_back_as_soon_as_people_say_that_the_last_order_is_done(store_url: str, tmp_path: Path) -> None:
    """With nothing else that waits. A conductor that starts anew would read it by itself; this one goes on."""
    rig = set_up(store_url, tmp_path, NEVER)
    ask(rig, order())

    clock = done_meanwhile(rig)
    assert rig.conduct(until=small.START + 12 * HOUR).state is RunState.FINISHED
    assert clock.at is not None
    (op,) = ops_of(rig)
    assert op.state is UnitState.RETURNED
    assert op.finished_at is not None
    assert op.finished_at - clock.at < 4 * HOUR


class Deaf:
    """A site where no adapter takes repair notices."""

    def notify(self, notices: list[Notice]) -> Mapping[StepKey, Answer]:
        return {notice.key: Denied(why="nobody serves it") for notice in notices}


def make_deaf(rig: stagehand.Rig) -> None:
    rig.site = replace(rig.site, notifier=cast(Notifier, Deaf()))


def test_node_comes_back_from_people_who_are_not_told_by_notice(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, NEVER)
    make_deaf(rig)
    ask(rig, order())
    rig.conduct(until=small.START + HOUR)
    assert ops_of(rig)[0].state is UnitState.IN_REPAIR
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    assert rig.conduct(until=small.START + 12 * HOUR).state is RunState.FINISHED
    assert ops_of(rig)[0].state is UnitState.RETURNED


def test_failed_node_that_was_repaired_comes_back_though_nobody_takes_notices(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, replace(QUICK, fallout=0.2))
    make_deaf(rig)
    assert rig.conduct(until=small.START + timedelta(days=5)).state is RunState.FINISHED
    failed = [op for op in rig.ops() if op.retries.get("repair") or op.failed_at is not None]
    assert {op.state for op in rig.ops() if op.unit in {one.unit for one in failed}} <= {UnitState.RETURNED}


def test_lead_that_reads_all_anew_at_each_step_notes_the_end_all_the_same(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside other workers it does so. That the order is over is known before it is looked for, then."""
    monkeypatch.setattr(Stage, "is_shared", lambda _: True)
    monkeypatch.setattr(decide_waiting, "TAIL_LOOK", timedelta(days=9))  # no chance look may help
    rig = set_up(store_url, tmp_path, NEVER)
    ask(rig, order())
    done_meanwhile(rig)
    assert rig.conduct(until=small.START + 12 * HOUR).state is RunState.FINISHED
    assert ops_of(rig)[0].state is UnitState.RETURNED


def test_worker_of_the_window_asks_with_each_look_whether_the_order_is_over(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lead, elsewhere, may have noted it, or died before it could say so."""
    monkeypatch.setattr(orders, "_note_ended", lambda *_: None)
    rig = set_up(store_url, tmp_path, NEVER)
    ask(rig, order())
    done_meanwhile(rig)
    assert rig.conduct(until=small.START + 12 * HOUR).state is RunState.FINISHED
    assert ops_of(rig)[0].state is UnitState.RETURNED


class Busy:
    """A notifier that is put off, or loses its answers, for days: nobody is told."""

    def __init__(self, error: Exception | None, answer: Answer) -> None:
        self.asked: list[StepKey] = []
        self._error, self._answer = error, answer

    def notify(self, notices: list[Notice]) -> Mapping[StepKey, Answer]:
        self.asked += [notice.key for notice in notices]
        if self._error is not None:
            raise self._error
        return {notice.key: self._answer for notice in notices}


DAY = timedelta(days=1)
TROUBLES = [(TryLater(after=DAY), Unsure()), (OutcomeUnknown("no answer"), Unsure()), (None, Later(after=DAY))]


@pytest.mark.parametrize("trouble", TROUBLES, ids=["put off", "no answer", "puts each off"])
def test_nobody_waits_for_a_notifier_that_is_busy_for_days(
    store_url: str, tmp_path: Path, trouble: tuple[Exception | None, Answer]
) -> None:
    """The order is done, and its node goes on within minutes; what fails is handed over, repaired and returned."""
    rig = set_up(store_url, tmp_path, replace(QUICK, fallout=0.2))
    busy = Busy(*trouble)
    rig.site = replace(rig.site, notifier=cast(Notifier, busy))
    ask(rig, order())
    rig.conduct(until=small.START + HOUR)
    assert ops_of(rig)[0].state is UnitState.IN_REPAIR
    complete_order(rig.database, ORDER, now=rig.clock.now(), actor="operator-1")
    rig.conduct(until=small.START + HOUR + timedelta(minutes=20))
    assert ops_of(rig)[0].state is not UnitState.IN_REPAIR
    assert rig.conduct(until=small.START + timedelta(days=5)).state is RunState.FINISHED
    failed = [op for op in rig.ops() if any("repair:" in key and f"/{op.unit}/" in key for key in busy.asked)]
    assert len(failed) > 1
    assert {op.state for op in failed} == {UnitState.RETURNED}
    assert all(busy.asked.count(key) < 200 for key in busy.asked), "and it is not asked every minute for days"


def test_notice_is_delivered_when_the_notifier_is_there_again(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, NEVER)
    there, busy = rig.site, Busy(TryLater(after=DAY), Unsure())
    rig.site = replace(rig.site, notifier=cast(Notifier, busy))
    ask(rig, order())
    rig.conduct(until=small.START + 3 * HOUR)
    assert ops_of(rig)[0].state is UnitState.IN_REPAIR
    assert not rig.world.notices
    rig.site = there
    rig.conduct(until=small.START + 4 * HOUR)
    assert list(rig.world.notices.values()) == [NODE]
    assert {f"{rig.run}/{key}" for key in rig.world.notices} <= set(busy.asked), "under the same key"
