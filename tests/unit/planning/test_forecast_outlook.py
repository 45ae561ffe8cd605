"""A window's rest, played from where its units stand."""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planning import forecasts
from tests.unit.planning.forecasts import at

from fermata.domain.forecasts import LEVELS
from fermata.domain.ids import WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.planning.forecast.outlook import Learned, Outlook, look_out

LAYOUT = forecasts.window()
ROW = forecasts.row(LAYOUT)
SCRIPT = LAYOUT.script
PENDING = forecasts.pending(LAYOUT)
KNOWN = forecasts.learn()


def outlook(ops: list[UnitOp], now: datetime, learned: Learned = KNOWN) -> Outlook:
    return look_out(ROW, LAYOUT, ops, learned, now)


def all_verifying(since: datetime) -> list[UnitOp]:
    return [forecasts.verifying(SCRIPT, op, since) for op in PENDING]


def test_the_same_rows_at_the_same_time_give_the_same_forecast() -> None:
    assert outlook(PENDING, at(0)).back_all() == outlook(PENDING, at(0)).back_all()


def test_another_minute_or_another_window_draws_anew() -> None:
    first = outlook(PENDING, at(0)).back
    assert not np.array_equal(first, outlook(PENDING, at(1)).back)
    other = look_out(replace(ROW, window=replace(SCRIPT.window, id="win-x").id), LAYOUT, PENDING, KNOWN, at(0))  # type: ignore[arg-type]
    assert not np.array_equal(first, other.back)


def test_when_all_are_back_the_forecast_is_when_they_came() -> None:
    ops = [forecasts.done(op, at(100 + n % 40)) for n, op in enumerate(PENDING)]
    found = outlook(ops, at(150))
    assert [(level.median, level.bound) for level in found.back_all()] == [
        (at(135), at(135)),
        (at(137), at(137)),
        (at(139), at(139)),
    ]
    assert found.kept(1.0, at(139)) == 1.0
    assert found.kept(1.0, at(138)) == 0.0


def test_levels_come_one_after_the_other_and_bounds_after_medians() -> None:
    found = outlook(PENDING, at(0)).back_all()
    assert [level.share for level in found] == list(LEVELS)
    assert [level.nodes for level in found] == [36, 38, 40]
    assert [level.median for level in found] == sorted(level.median for level in found)
    assert all(level.median < level.bound for level in found)


def test_a_window_that_just_opened_takes_about_as_long_as_planned() -> None:
    """The plan's steps, each at about its 90th percentile, take 152 minutes."""
    ninety = outlook(PENDING, at(0)).back_all()[0]
    assert 80 < (ninety.median - at(0)) / timedelta(minutes=1) < 152


@given(since=st.integers(0, 25))
@settings(max_examples=15, deadline=None)
def test_a_proof_that_took_longer_already_never_ends_in_the_past(since: int) -> None:
    found = outlook(all_verifying(at(0)), at(since))
    assert found.back.min() >= 0


def test_the_longer_steps_have_run_the_later_they_end_at_all() -> None:
    """On average over twenty windows, from three minutes on: one that has just begun may still fail anywhere in it."""
    rows = [replace(ROW, window=WindowId(f"win-{number}")) for number in range(20)]

    def bound(now: datetime) -> float:
        found = (look_out(row, LAYOUT, all_verifying(at(0)), KNOWN, now).back_at(0.95).bound for row in rows)
        return sum((at_last - at(0)) / timedelta(minutes=20) for at_last in found)

    bounds = [bound(at(now)) for now in (3, 6, 12, 18)]
    assert all(later > earlier + 0.5 for earlier, later in pairwise(bounds))


def test_slow_steps_that_were_seen_move_the_forecast_later() -> None:
    seen = forecasts.learn(forecasts.observed("nic", [25] * 100))
    plain, slow = outlook(PENDING, at(0)).back_at(0.95), outlook(PENDING, at(0), seen).back_at(0.95)
    assert slow.median > plain.median + timedelta(minutes=8)


def test_a_node_in_repair_delays_all_of_the_baseline_by_days_and_not_its_threshold() -> None:
    ops = all_verifying(at(0))
    ops[0] = replace(ops[0], state=UnitState.FAILED, step="reboot:3", failed_at=at(0), tail_since=at(0))
    found = outlook(ops, at(0))
    assert found.back_at(0.95).bound < at(60)
    assert found.back_at(1.0).median > at(120)


def test_a_device_in_repair_holds_every_node_behind_it() -> None:
    ops = [
        replace(op, state=UnitState.FAILED, step="apply:leaf", failed_at=at(0))
        if op.kind is UnitKind.DEVICE and "ib_leaf" in op.unit
        else op
        for op in PENDING
    ]
    assert outlook(ops, at(0)).back_at(0.9).median > outlook(PENDING, at(0)).back_at(0.9).bound


def test_nodes_that_were_not_in_service_are_not_waited_for() -> None:
    ops = [replace(op, in_service_before=op.id % 2 == 0) for op in PENDING]
    assert outlook(ops, at(0)).baseline == 20


def test_a_left_out_node_is_not_waited_for() -> None:
    ops = [replace(PENDING[0], state=UnitState.LEFT_OUT), *PENDING[1:]]
    assert outlook(ops, at(0)).baseline == 39


def test_who_waits_for_a_turn_is_back_after_who_has_it() -> None:
    """Two fault domains at once: with two in, the other two wait until these are through."""
    os_step = next(i for i, label in enumerate(SCRIPT.labels) if label == "apply:os")
    done = SCRIPT.bits[forecasts.CATALOGUE.updates["nic"].id] | SCRIPT.bits[forecasts.CATALOGUE.updates["gpu"].id]  # type: ignore[index]
    done |= SCRIPT.bits[forecasts.CATALOGUE.updates["bmc"].id]  # type: ignore[index]
    ops = []
    for op in PENDING:
        if op.kind is UnitKind.DEVICE:
            ops.append(forecasts.done(op, at(0)))
            continue
        domain = int(LAYOUT.domains[LAYOUT.column[op.unit]])  # type: ignore[index]
        inside = domain < 2
        ops.append(
            replace(
                op,
                state=UnitState.APPLYING if inside else UnitState.DRAINED,
                step="apply:os",
                position=os_step,
                applied=done,
                active=done,
                step_started_at=at(-1),
            )
        )
    found = outlook(ops, at(0))
    first = LAYOUT.domains[found.columns] < 2
    assert np.median(found.back[:, first]) + 5 < np.median(found.back[:, ~first])


@pytest.mark.parametrize("limit", [0.0, 1.0])
def test_a_promise_is_kept_with_a_probability(limit: float) -> None:
    found = outlook(PENDING, at(0))
    sooner, later = found.kept(0.95, at(60)), found.kept(0.95, at(60_000))
    assert 0.0 <= sooner < later == 1.0
    assert math.isclose(found.kept(0.95, at(60 + limit)), sooner, abs_tol=0.05)
