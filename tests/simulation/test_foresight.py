"""How likely a deadline is missed: known days ahead, worked out beside the work, kept for the plan that it is of."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.replanned import CLUSTERS, DAY, HOUR, freeze, in_force, rows, set_up

from fermata.domain.deadline_risk import DeadlineRisk
from fermata.domain.reasons import Code
from fermata.domain.run_states import ReplanMode
from fermata.services import foresight
from fermata.services import replans as services
from fermata.services import runs as run_verbs
from fermata.services.aside import AsideFailed
from fermata.services.foresight import foresee
from fermata.sim.clock import VirtualClock
from fermata.store import journal, replans


def test_a_deadline_that_will_be_missed_is_known_days_ahead_with_what_was_tried(tmp_path: Path) -> None:
    rig = set_up(tmp_path, ReplanMode.AUTO, deadline=date(2026, 1, 7))
    rig.conduct(until=small.NOW + timedelta(minutes=30))
    before = run_verbs.status(rig.database).deadline_risk
    assert before is not None
    assert (before.plan, before.windows, before.homeless) == (rig.plan.id, CLUSTERS, 0)
    assert before.missed < 0.1
    assert before.alert is None
    freeze(rig, "c0", small.START - HOUR / 2, small.START + timedelta(hours=10))
    rig.conduct(until=small.START + 2 * HOUR)
    status = run_verbs.status(rig.database)
    risk = status.deadline_risk
    assert risk is not None
    assert risk.plan == status.plan != rig.plan.id, "foreseen anew for the plan that followed"
    assert risk.at <= risk.deadline - 2 * DAY
    assert risk.missed == 1.0
    assert next((driver.cluster, driver.missed) for driver in risk.drivers) == ("c0", 1.0)
    assert risk.late_node_days >= 8
    assert {remedy.change for remedy in risk.remedies} == {"dates planned anew", "capacity back by 20:00"}
    assert [need.code for need in status.needs] == [Code.DEADLINE_AT_RISK]
    with rig.database.read() as conn:
        told_of = [line for line in journal.read(conn, limit=10_000) if line.event == "deadline.at_risk"]
    assert len(told_of) == 1


def test_what_would_help_is_not_tried_again_every_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = set_up(tmp_path, ReplanMode.OFF, deadline=date(2026, 1, 5))  # the plan itself has two windows after it
    first = foresee(rig.database, rig.run, small.NOW)
    monkeypatch.setattr(foresight, "plan_campaign", None)
    second = foresee(rig.database, rig.run, small.NOW + HOUR * 16)
    assert first is not None
    assert second is not None
    assert first.missed == second.missed == 1.0
    assert second.at > first.at
    assert (second.remedies, second.remedies_at) == (first.remedies, first.at)
    assert len(first.remedies) == 2


def test_what_was_foreseen_is_not_worked_out_twice_for_a_day_and_a_plan(tmp_path: Path) -> None:
    rig = set_up(tmp_path, ReplanMode.OFF)
    first = foresee(rig.database, rig.run, small.NOW)
    assert first is not None
    assert foresee(rig.database, rig.run, small.NOW + timedelta(hours=2)) == first
    later = foresee(rig.database, rig.run, small.NOW + DAY)
    assert later is not None
    assert later.seq > first.seq


class Slow:
    """Ends what it works out at a time, or fails then. `begun`: when each piece of work was begun."""

    def __init__(self, clock: VirtualClock, *, ends: datetime, fails: bool = False) -> None:
        self._clock, self._ends, self._fails = clock, ends, fails
        self._works: dict[str, Callable[[], DeadlineRisk]] = {}
        self.begun: list[datetime] = []

    def is_under_way(self, key: str) -> bool:
        return key in self._works and self._clock.now() < self._ends

    def begin(self, key: str, work: Callable[[], DeadlineRisk]) -> None:
        self._works[key] = work
        self.begun.append(self._clock.now())

    def take(self, key: str) -> DeadlineRisk | None:
        if key not in self._works or self.is_under_way(key):
            return None
        work = self._works.pop(key)
        if self._fails:
            raise AsideFailed
        return work()


def set_up_slow(tmp_path: Path, *, ends: datetime, fails: bool = False) -> tuple[stagehand.Rig, Slow]:
    rig = set_up(tmp_path, ReplanMode.AUTO, deadline=date(2026, 1, 7))
    slow, numbers = Slow(rig.clock, ends=ends, fails=fails), count(1)
    rig.replanner = services.StoreReplanner(rig.database, lambda kind: f"{kind}_again_{next(numbers)}", slow)
    return rig, slow


def test_windows_open_while_it_is_worked_out_what_the_deadline_risks(tmp_path: Path) -> None:
    rig, slow = set_up_slow(tmp_path, ends=small.START + HOUR)
    looked: list[DeadlineRisk | None] = []

    def look(_point: str) -> None:
        if small.START <= rig.clock.now() < small.START + HOUR:
            looked.append(run_verbs.status(rig.database).deadline_risk)

    rig.conduct(until=small.START + 2 * HOUR, crash=look)
    assert set(looked) == {None}
    assert [row.opened_at for row in rows(rig).values() if row.opened_at is not None] == [small.START]
    assert len(slow.begun) == 1
    risk = run_verbs.status(rig.database).deadline_risk
    assert risk is not None
    assert risk.at == slow.begun[0] < small.START, "as things stood when it was begun"


def test_what_was_worked_out_of_a_plan_that_is_no_longer_in_force_is_not_kept(tmp_path: Path) -> None:
    rig, slow = set_up_slow(tmp_path, ends=small.START + 2 * HOUR)
    rig.conduct(until=small.NOW + timedelta(minutes=10))
    freeze(rig, "c0", small.START - HOUR / 2, small.START + timedelta(hours=10))
    rig.conduct(until=small.START + 3 * HOUR)
    assert in_force(rig).id != rig.plan.id
    with rig.database.read() as conn:
        risk = replans.latest_risk(conn, rig.run)
    assert risk is not None
    assert risk.plan == in_force(rig).id
    assert slow.begun == [small.NOW, risk.at]


def test_work_that_failed_is_not_begun_again_before_the_next_day(tmp_path: Path) -> None:
    rig, slow = set_up_slow(tmp_path, ends=small.NOW, fails=True)
    rig.conduct(until=small.START + 2 * DAY)
    assert [at.date() for at in slow.begun] == [small.NOW.date() + number * DAY for number in range(len(slow.begun))]
    assert len(slow.begun) == CLUSTERS
