"""Pause, resume, stop and abort, said of a node, a window, a run and the fleet at every moment of a window's life."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_conduct import windows

from fermata.domain.ids import NodeId, WindowId
from fermata.domain.node_states import FINAL, UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Code
from fermata.domain.run_states import Desired, RunState, WindowState
from fermata.services import intents
from fermata.services.errors import Refusal
from fermata.services.intents import Wanted
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import journal

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NODE, OTHERS = NodeId("c0-n005"), tuple(NodeId(f"c0-n00{i}") for i in (1, 2))
FAULTY = Faults(
    fails=0.08, hangs=0.02, false_done=0.04, slow_drain=0.1, unhealthy=0.05, device_fails=0.1, lost=0.03, busy=0.03,
    fallout=0.1, mean_days_to_repair=0.2,
)  # fmt: skip
SCOPES = {
    "node": Wanted(nodes=(NODE, *OTHERS)),
    "window": Wanted(window=WindowId("win-c0")),
    "run": Wanted(),
    "fleet": Wanted(fleet=True),
}
MOMENTS = (8, 30, 72, 130)  # minutes after the start: drains, devices, writes that wait for a reboot, the second window
VERBS = (Desired.PAUSE, Desired.STOP, Desired.ABORT)
# Each verb meets each scope and each moment, each scope each moment, in a third of the runs that all of it takes;
# the fleet has every moment with every verb that ends something, for it reaches furthest.
MEETINGS = {
    verb: [
        (scope, after)
        for row, scope in enumerate(SCOPES)
        for column, after in enumerate(MOMENTS)
        if VERBS[(row + column) % 3] is verb or (verb is not Desired.PAUSE and scope == "fleet")
    ]
    for verb in VERBS
}


def say(rig: stagehand.Rig, wanted: Wanted, desired: Desired) -> None:
    intents.say(rig.database, wanted, desired, now=rig.clock.now(), actor="ann", why="smoke in the hall")


def two_windows(tmp_path: Path, faults: Faults, seed: int) -> stagehand.Rig:
    """The second window opens two hours after the first."""
    found, updates, campaign = small.fleet(clusters=2), small.catalogue(), small.campaign()
    made = small.plan(found, updates, campaign, [small.START, small.START + 2 * HOUR])
    url = stagehand.fresh_sqlite(tmp_path)
    return stagehand.set_up(url, tmp_path, fleet=found, plan=made, faults=faults, seed=seed)


def nodes(rig: stagehand.Rig) -> dict[str, UnitOp]:
    return {op.unit: op for op in rig.ops() if op.kind is UnitKind.NODE}


def meant(op: UnitOp, scope: str) -> bool:
    """True when a word of that scope is about the node."""
    return {"node": op.unit in SCOPES["node"].nodes, "window": op.window == "win-c0"}.get(scope, True)


def lines(rig: stagehand.Rig, event: str) -> list[journal.Entry]:
    with rig.database.read() as conn:
        return [entry for entry in journal.read(conn, limit=10_000) if entry.event == event]


def begun_since(rig: stagehand.Rig, asked: frozenset[str]) -> list[str]:
    """What was begun on nodes and devices since `asked` was noted, health checks and returns left out."""
    beginnings = ("lock", "drain", "apply", "reboot", "reset")
    return [key for key, step in rig.world.steps.items() if key not in asked and step.op in beginnings]


def assert_returned_nodes_are_as_proven(rig: stagehand.Rig) -> None:
    """Each component of a node that is back runs what it ran before or its target; nothing waits for a reboot."""
    for op in nodes(rig).values():
        if op.state not in (UnitState.RETURNED, UnitState.KEPT_OUT):
            continue
        machine = rig.world.nodes[NodeId(op.unit)]
        machine.settle(rig.clock.now())
        assert not machine.staged, op.unit
        assert not machine.locked, op.unit
        assert set(machine.versions.values()) <= {"1.0", "2.0"}
        if op.reason is None:
            assert set(machine.versions.values()) == {"2.0"}, op.unit
        else:
            assert op.reason.code is Code.GIVEN_BACK, op.reason


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("scope", "after"), MEETINGS[Desired.PAUSE])
def test_pause_begins_nothing_and_resume_loses_nothing(tmp_path: Path, scope: str, after: int) -> None:
    rig = two_windows(tmp_path, FAULTY, seed=after)
    rig.conduct(until=small.START + after * MINUTE)
    say(rig, SCOPES[scope], Desired.PAUSE)
    asked = frozenset(rig.world.steps)
    rig.conduct(until=small.START + (after + 90) * MINUTE)
    held = {op.unit for op in rig.ops() if meant(op, scope)}
    assert {rig.world.steps[key].unit for key in begun_since(rig, asked)} & held == set()
    say(rig, SCOPES[scope], Desired.RUN)
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert_returned_nodes_are_as_proven(rig)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("verb", "scope", "after"), [(verb, *where) for verb in (Desired.STOP, Desired.ABORT) for where in MEETINGS[verb]]
)
def test_stop_and_abort_take_nothing_new_and_account_for_every_node(
    tmp_path: Path, verb: Desired, scope: str, after: int
) -> None:
    rig = two_windows(tmp_path, FAULTY, seed=after)
    rig.conduct(until=small.START + after * MINUTE)
    say(rig, SCOPES[scope], verb)
    asked = frozenset(rig.world.steps)
    rig.conduct(until=small.START + 5 * 24 * HOUR)
    found = nodes(rig)
    held = {name for name, op in found.items() if meant(op, scope)}
    taken = {rig.world.steps[key].unit for key in begun_since(rig, asked) if rig.world.steps[key].op == "lock"}
    assert taken & held == set()
    assert all(op.state in FINAL or op.tail_since is not None for op in found.values())
    assert_returned_nodes_are_as_proven(rig)
    if verb is Desired.ABORT:
        devices_in_hand = {op.unit for op in rig.ops() if op.kind is UnitKind.DEVICE}
        begun = {rig.world.steps[key].unit for key in begun_since(rig, asked)} - devices_in_hand
        assert begun & held == set()
        assert all(op.reason is not None for name, op in found.items() if name in held and op.state not in FINAL)
    row = windows(rig)["win-c1"]
    assert row.state is (WindowState.CANCELLED if scope in ("run", "fleet") and after < 130 else WindowState.CLOSED)


def test_untouched_nodes_go_back_at_once_after_an_abort_and_can_be_planned_again(tmp_path: Path) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    rig.conduct(until=small.START + MINUTE)
    assert {op.state for op in nodes(rig).values()} == {UnitState.DRAINING}
    say(rig, SCOPES["run"], Desired.ABORT)
    assert rig.conduct().state is RunState.STOPPED
    found = nodes(rig)
    assert {op.finished_at for op in found.values()} == {small.START + MINUTE}
    assert found["c0-n000"].state is UnitState.KEPT_OUT
    assert {op.state for name, op in found.items() if name != "c0-n000"} == {UnitState.RETURNED}
    assert {op.reason.code for op in found.values() if op.reason} == {Code.GIVEN_BACK}
    assert {row.state for row in windows(rig).values()} == {WindowState.CLOSED, WindowState.CANCELLED}


def test_nodes_that_were_locked_and_never_drained_go_back_with_their_workloads(tmp_path: Path) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    said = []

    def pause_before_the_drain(point: str) -> None:
        if point == "recorded" and not said and any(op.state is UnitState.LOCKED for op in rig.ops()):
            said.append(say(rig, SCOPES["fleet"], Desired.PAUSE))

    rig.conduct(until=small.START + 20 * MINUTE, crash=pause_before_the_drain)
    assert {op.state for op in nodes(rig).values()} == {UnitState.LOCKED}
    say(rig, SCOPES["window"], Desired.ABORT)
    rig.conduct(until=small.START + HOUR)
    found = nodes(rig)
    assert {op.finished_at for op in found.values()} == {small.START + 20 * MINUTE}
    assert {op.state for op in found.values()} == {UnitState.RETURNED, UnitState.KEPT_OUT}
    assert {op.reason.code for op in found.values() if op.reason} == {Code.GIVEN_BACK}
    assert {step.op for step in rig.world.steps.values()} == {"lock", "give_back", "release", "apply"}
    assert lines(rig, "node.astray") == []


def test_locked_node_that_lost_its_lock_is_drained_before_an_abort_gives_it_back(tmp_path: Path) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    rig.conduct(until=small.START + MINUTE)
    say(rig, Wanted(fleet=True), Desired.PAUSE)
    rig.conduct(until=small.START + HOUR)
    assert nodes(rig)[NODE].state is UnitState.DRAINED
    rig.world.nodes[NODE].scale_in(rig.clock.now(), keeps_lock=False)
    say(rig, SCOPES["window"], Desired.ABORT)
    rig.conduct(until=small.START + 5 * HOUR)
    assert nodes(rig)[NODE].state is UnitState.RETURNED
    ops = [step.op for step in rig.world.steps.values() if step.unit == NODE]
    assert ops.count("lock") == 2
    assert ops[-2:] in (["drain", "give_back"], ["check", "give_back"])
    assert len(lines(rig, "node.astray")) == 1


def test_nodes_that_stood_empty_for_long_have_their_health_checked_before_an_abort_gives_them_back(
    tmp_path: Path,
) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    rig.conduct(until=small.START + MINUTE)
    say(rig, Wanted(fleet=True), Desired.PAUSE)
    rig.conduct(until=small.START + 4 * HOUR)
    assert {op.state for op in nodes(rig).values()} == {UnitState.DRAINED}
    say(rig, Wanted(window=WindowId("win-c0")), Desired.ABORT)
    rig.conduct(until=small.START + 5 * HOUR)
    assert {op.state for op in nodes(rig).values()} == {UnitState.RETURNED, UnitState.KEPT_OUT}
    checked = {step.unit for step in rig.world.steps.values() if step.op == "check"}
    assert checked == set(nodes(rig))


def test_a_node_with_firmware_that_waits_for_its_reboot_stays_out_until_stop_lets_it_finish(tmp_path: Path) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    rig.conduct(until=small.START + 72 * MINUTE)
    staged = {name for name, op in nodes(rig).items() if op.applied & ~op.active or op.state is UnitState.APPLYING}
    assert staged
    say(rig, Wanted(), Desired.ABORT)
    rig.conduct(until=small.START + 12 * HOUR)
    kept = {name: op for name, op in nodes(rig).items() if op.state not in FINAL}
    assert kept
    assert {op.reason.code for op in kept.values() if op.reason} == {Code.NOT_PROVEN_YET}
    assert all(op.tail_since is not None for op in kept.values())
    say(rig, Wanted(), Desired.STOP)
    assert rig.conduct().state is RunState.STOPPED
    assert {op.state for op in nodes(rig).values()} <= FINAL
    assert_returned_nodes_are_as_proven(rig)


def test_a_node_whose_versions_changed_behind_our_back_is_not_given_back_unchanged(tmp_path: Path) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    rig.conduct(until=small.START + 3 * MINUTE)
    rig.world.nodes[NODE].versions["gpu_fw"] = "1.7"
    say(rig, Wanted(window=WindowId("win-c0")), Desired.ABORT)
    rig.conduct(until=small.START + HOUR)
    op = nodes(rig)[NODE]
    assert op.state not in FINAL
    assert op.reason is not None
    assert op.reason.code is Code.CHANGED_MEANWHILE
    assert "1.7" in op.reason.sentence


def test_a_node_that_is_paused_before_its_window_stays_in_service(tmp_path: Path) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, fleet=small.fleet(nodes=16))
    say(rig, Wanted(nodes=(NODE,)), Desired.PAUSE)
    assert rig.conduct().state is RunState.FINISHED
    left_out = {left.reason.code: left.nodes for left in windows(rig)["win-c0"].left_out}
    assert left_out[Code.HELD_BY_OPERATOR] == (NODE,)
    assert not rig.world.nodes[NODE].targets


def test_fleet_that_is_stopped_starts_no_run_before_it_is_resumed(tmp_path: Path) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    say(rig, Wanted(fleet=True), Desired.STOP)
    assert rig.conduct().state is RunState.STOPPED

    def start() -> str:
        return stagehand.services.start(
            rig.database, small.CAMPAIGN, now=rig.clock.now(), actor="ann", new_id=lambda kind: f"{kind}_2"
        ).id

    with pytest.raises(Refusal) as refused:
        start()
    assert refused.value.reason.code is Code.FLEET_STOPPED
    say(rig, Wanted(fleet=True), Desired.RUN)
    assert start() == "run_2"


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Wanted(nodes=(NodeId("c0-n999"),)), Code.NODE_UNKNOWN),
        (Wanted(window=WindowId("win-c9")), Code.RUN_WINDOW_UNKNOWN),
    ],
)
def test_what_is_not_there_is_refused(tmp_path: Path, wanted: Wanted, code: Code) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    with pytest.raises(Refusal) as refused:
        say(rig, wanted, Desired.PAUSE)
    assert refused.value.reason.code is code


def test_a_run_that_ends_cannot_be_resumed_and_a_word_needs_a_reason(tmp_path: Path) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    rig.conduct(until=small.START + 30 * MINUTE)
    say(rig, Wanted(), Desired.ABORT)
    with pytest.raises(Refusal) as refused:
        say(rig, Wanted(), Desired.RUN)
    assert refused.value.reason.code is Code.RUN_OVER
    with pytest.raises(Refusal) as refused:
        intents.say(rig.database, Wanted(), Desired.STOP, now=rig.clock.now(), actor="ann", why=" ")
    assert refused.value.reason.code is Code.WHY_MISSING


def test_devices_that_an_abort_leaves_out_are_journalled_as_devices(tmp_path: Path) -> None:
    rig = two_windows(tmp_path, NO_FAULTS, seed=1)
    rig.conduct(until=small.START + MINUTE)
    say(rig, SCOPES["window"], Desired.ABORT)
    rig.conduct(until=small.START + 2 * HOUR)
    with rig.database.read() as conn:
        lines = [entry for entry in journal.read(conn, limit=10_000) if entry.event.endswith(".left_out")]
    assert {entry.event for entry in lines} == {"device.left_out"}
    assert {entry.subject.partition(":")[0] for entry in lines} == {"device"}


def test_slow_drain_ends_when_an_abort_gives_the_node_back(tmp_path: Path) -> None:
    rig = two_windows(tmp_path, replace(NO_FAULTS, slow_drain=1.0, slow_factor=60.0), seed=1)
    rig.conduct(until=small.START + HOUR)
    say(rig, Wanted(), Desired.ABORT)
    assert rig.conduct().state is RunState.STOPPED
    slow = {name: op.finished_at for name, op in nodes(rig).items() if name != "c0-n000"}
    assert set(slow.values()) == {small.START + HOUR}
    assert all(rig.world.nodes[NodeId(name)].in_service for name in slow)
