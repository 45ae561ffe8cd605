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
from fermata.domain.observations import Answer, Denied
from fermata.domain.operations import UnitOp
from fermata.domain.run_states import RunState
from fermata.execution import orders
from fermata.execution.stage import Stage
from fermata.ports import Notice, Notifier
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
