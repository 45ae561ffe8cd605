"""What customers hold approvals to, kept by the conductor when a window opens."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_conduct import states, windows

from fermata.domain.ids import DeviceId, NodeId
from fermata.domain.node_states import UnitState
from fermata.domain.policy import Conditions, Freeze, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code
from fermata.domain.run_states import WindowState
from fermata.execution import opening
from fermata.store import consent

pytestmark = pytest.mark.databases("sqlite")

HOUR = timedelta(hours=1)


def names(numbers: Iterable[int], cluster: int = 0) -> set[str]:
    return {f"c{cluster}-n{number:03d}" for number in numbers}


def say(rig: stagehand.Rig, scope: str, conditions: Conditions, verdict: Verdict = Verdict.APPROVED) -> None:
    """Given after the plan was published."""
    level, name = scope.split()
    with rig.database.begin() as conn:
        seq = len(consent.load_ledger(conn)) + 1
        said = small.approval(small.catalogue(), verdict, seq=seq, scope=Scope(level=ScopeLevel(level), name=name))
        consent.append_entry(conn, replace(said, conditions=conditions))


def freeze(scope: str) -> Freeze:
    level, name = scope.split()
    return Freeze(
        id=small.FreezeId("frz"),
        customer=small.CUSTOMER,
        scope=Scope(level=ScopeLevel(level), name=name),
        start=small.START,
        end=small.START + HOUR,
        reason="training run",
    )


@pytest.mark.parametrize(("most", "taken"), [(16, range(16)), (15, range(8)), (8, range(8)), (7, ())])
def test_no_more_nodes_go_on_a_day_than_an_approval_lets_and_whole_devices_at_that(
    store_url: str, tmp_path: Path, most: int, taken: Iterable[int]
) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(nodes=16))
    say(rig, "cluster c0", Conditions(nodes_per_day=most))
    rig.conduct()
    assert set(states(rig)) == names(taken)
    left = {group.reason.code for group in windows(rig)["win-c0"].left_out}
    assert left <= {Code.APPROVED_PER_DAY, Code.SHARED_DEVICE_UNAPPROVED}
    assert (Code.APPROVED_PER_DAY in left) is (most < 16)


@pytest.mark.databases("sqlite", "postgresql")
def test_windows_of_a_day_share_what_an_approval_lets_go(store_url: str, tmp_path: Path) -> None:
    fleet = small.fleet(clusters=2)
    starts = [small.START, small.START + HOUR]
    made = small.plan(fleet, small.catalogue(), small.campaign(), starts)
    rig = stagehand.set_up(store_url, tmp_path, fleet=fleet, plan=made)
    say(rig, "supercomputer sc", Conditions(nodes_per_day=8))
    rig.conduct()
    assert set(states(rig)) == names(range(8))
    second = windows(rig)["win-c1"]
    assert (second.state, Code.APPROVED_PER_DAY in {left.reason.code for left in second.left_out}) == (
        WindowState.SKIPPED,
        True,
    )


def test_nodes_of_another_day_do_not_count(store_url: str, tmp_path: Path) -> None:
    fleet = small.fleet(clusters=2)
    starts = [small.START, small.START + timedelta(days=1)]
    made = small.plan(fleet, small.catalogue(), small.campaign(), starts)
    rig = stagehand.set_up(store_url, tmp_path, fleet=fleet, plan=made)
    say(rig, "supercomputer sc", Conditions(nodes_per_day=8))
    rig.conduct()
    assert set(states(rig)) == names(range(8)) | names(range(8), cluster=1)


def test_nodes_stay_when_one_that_they_were_approved_with_does(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(nodes=16))
    say(rig, "rack c0-r0", Conditions(with_scope=Scope(level=ScopeLevel.RACK, name="c0-r2")))
    with rig.database.begin() as conn:
        consent.add_freeze(conn, freeze("node c0-n008"))
    rig.conduct()
    assert states(rig) == {}
    found = {name: left.reason.code for left in windows(rig)["win-c0"].left_out for name in left.nodes}
    assert found[NodeId("c0-n008")] is Code.FROZEN
    assert {found[NodeId(name)] for name in names(range(4))} <= {Code.COMPANION_STAYS, Code.SHARED_DEVICE_UNAPPROVED}
    assert Code.COMPANION_STAYS in found.values()


def test_the_others_go_when_the_node_that_waits_for_them_does_not(store_url: str, tmp_path: Path) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(nodes=16))
    say(rig, "rack c0-r0", Conditions(with_scope=Scope(level=ScopeLevel.RACK, name="c0-r2")))
    say(rig, "node c0-n001", Conditions(), Verdict.WITHDRAWN)
    rig.conduct()
    assert set(states(rig)) == names(range(8, 16))


@pytest.mark.parametrize(
    ("conditions", "goes"),
    [
        (Conditions(not_before=small.START, not_after=small.START + 4 * HOUR), True),
        (Conditions(not_before=small.START + timedelta(minutes=1)), False),
        (Conditions(not_after=small.START + HOUR), False),
    ],
)
def test_nodes_go_within_the_times_of_their_approval(
    store_url: str, tmp_path: Path, conditions: Conditions, goes: bool
) -> None:
    rig = stagehand.set_up(store_url, tmp_path)
    say(rig, "cluster c0", conditions)
    rig.conduct()
    left = {group.reason.code for group in windows(rig)["win-c0"].left_out}
    assert (bool(states(rig)), left) == (goes, set() if goes else {Code.OUTSIDE_WINDOWS})


@pytest.mark.parametrize("says", ["no", "freeze"])
def test_what_is_said_while_a_window_is_looked_at_counts(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    rig = stagehand.set_up(store_url, tmp_path, fleet=small.fleet(nodes=16))
    calls, look = [], opening.find_hold

    def late_word(*args: Any) -> Any:
        """After consent was read, before the nodes are taken."""
        if not calls and says == "no":
            say(rig, "rack c0-r0", Conditions(), Verdict.WITHDRAWN)
        elif not calls:
            with rig.database.begin() as conn:
                consent.add_freeze(conn, freeze("rack c0-r0"))
        calls.append(args)
        return look(*args)

    monkeypatch.setattr(opening, "find_hold", late_word)
    rig.conduct()
    assert len(calls) == 2
    assert set(states(rig)) == names(range(8, 16))


MANAGER = "c0-r1-rack_manager"  # of c0-n004 to c0-n007; it is written while they serve


def managers_only(url: str, folder: Path) -> stagehand.Rig:
    """No shared device keeps nodes together."""
    found = small.fleet(nodes=8)
    done = {d.name: replace(d, version="2.0") if d.kind != "rack_manager" else d for d in found.devices.values()}
    found = replace(found, devices=done)
    made = small.plan(found, small.catalogue(), small.campaign())
    due = [tuple(name for name in window.updates if name not in ("leaf", "tor")) for window in made.windows]
    made = replace(made, windows=tuple(replace(w, updates=names) for w, names in zip(made.windows, due, strict=True)))
    return stagehand.set_up(url, folder, fleet=found, plan=made)


def test_device_that_did_not_say_what_it_runs_is_not_written_behind_a_no(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = managers_only(store_url, tmp_path)
    say(rig, "node c0-n007", Conditions(), Verdict.WITHDRAWN)
    monkeypatch.setattr(opening, "observe_devices", lambda *_: {})
    rig.conduct()
    (op,) = [op for op in rig.ops() if op.unit == MANAGER]
    assert op.state is UnitState.LEFT_OUT
    assert op.reason is not None
    assert op.reason.code is Code.SHARED_DEVICE_UNAPPROVED
    assert rig.world.devices[DeviceId(MANAGER)].versions == {"rm_fw": "1.0"}


def test_device_is_left_out_when_a_node_behind_it_that_stayed_takes_back_its_word(
    store_url: str, tmp_path: Path
) -> None:
    rig = managers_only(store_url, tmp_path)
    rig.world.nodes[NodeId("c0-n007")].gone_since = small.NOW  # so the window leaves it where it is
    words = []

    def withdraw(point: str) -> None:
        if point == "observed" and not words:
            words.append(say(rig, "node c0-n007", Conditions(), Verdict.WITHDRAWN))

    rig.conduct(crash=withdraw)
    left = {op.unit: op for op in rig.ops() if op.state is UnitState.LEFT_OUT}
    assert set(left) == {MANAGER}
    assert left[MANAGER].reason is not None
    assert left[MANAGER].reason.code is Code.SHARED_DEVICE_UNAPPROVED
    assert rig.world.devices[DeviceId(MANAGER)].versions == {"rm_fw": "1.0"}
    assert len(states(rig)) == 7
