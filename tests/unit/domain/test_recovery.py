"""What goes back together, and what a shared device does next while its update is rolled back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.simulation import small
from tests.unit.domain.test_decide import CATALOGUE, FACTS, FLEET, NOW, SCRIPT, WINDOW

from fermata.domain.decide import Seen, decide
from fermata.domain.decide_begin import Facts
from fermata.domain.decisions import Begin, Decision, EndStep, GiveUp, Leave, Park, Prove, Resume, Watch, carry_out
from fermata.domain.ids import DeviceId, NodeId, RunId, UpdateId
from fermata.domain.intents import EVERYWHERE, Intent, Intents, ScopeKind
from fermata.domain.node_states import UnitEvent, UnitKind, UnitState
from fermata.domain.observations import DeviceSeen, Failed, NeverAsked, NodeSeen, Progress, Running, Succeeded
from fermata.domain.operations import Asked, Gate, UnitOp
from fermata.domain.reasons import Code, reason
from fermata.domain.recovery import LastGood, Recovery, RecoveryOption, Web, find_option, hold_under, spread
from fermata.domain.run_states import Desired
from fermata.domain.tail import choose_owner
from fermata.domain.undoing import decide_undo

LEAF, NIC, OS, TOR, MANAGER = (UpdateId(name) for name in ("leaf", "nic", "os", "tor", "manager"))
SWITCH, RACK_MANAGER, BEHIND = DeviceId("c0-r0-tor"), DeviceId("c0-r0-rack_manager"), NodeId("c0-n001")
UNDO_TOR = "undo:1.0 tor"


def web(*pairs: tuple[str, UpdateId]) -> Web:
    """One leaf, two nodes behind it, and a switch over the first of them."""
    updates: dict[str, dict[UpdateId, small.Update]] = {unit: {} for unit in ("leaf-1", "n1", "n2", "tor-1")}
    for unit, name in pairs:
        updates[unit][name] = CATALOGUE.updates[name]
    return Web(
        updates=updates,
        behind={DeviceId("leaf-1"): (NodeId("n1"), NodeId("n2")), DeviceId("tor-1"): (NodeId("n1"),)},
    )


def test_what_builds_on_a_device_goes_back_on_all_nodes_behind_it_and_what_builds_on_that() -> None:
    known = web(("leaf-1", LEAF), ("n1", NIC), ("n1", OS), ("n2", OS), ("tor-1", TOR))
    assert spread([("leaf-1", LEAF)], known) == {("leaf-1", LEAF), ("n1", NIC), ("n1", OS)}
    assert spread([("tor-1", TOR)], known) == {("tor-1", TOR)}


def test_what_builds_on_a_node_goes_back_on_its_devices_and_on_theirs() -> None:
    later = replace(CATALOGUE.updates[LEAF], id=UpdateId("leaf"), after=(OS,))
    last = replace(CATALOGUE.updates[TOR], after=(LEAF,))
    known = web(("n1", OS), ("n2", OS))
    known = replace(known, updates={**known.updates, "leaf-1": {LEAF: later}, "tor-1": {TOR: last}})
    assert spread([("n1", OS)], known) == {("n1", OS), ("leaf-1", LEAF), ("tor-1", TOR)}


def option(unit: str, update: UpdateId, can: Recovery = Recovery.ROLL_BACK) -> RecoveryOption:
    why = reason(Code.RECOVERY_FORWARD_ONLY, update=update, unit=unit)
    return RecoveryOption(
        unit=unit, kind=UnitKind.NODE, window=WINDOW.id, update=update, option=can, to_version="1.0", reason=why
    )


def test_nothing_goes_back_under_what_stays_however_far_up_that_is() -> None:
    known = web(("leaf-1", LEAF), ("n1", NIC), ("n1", OS), ("n2", NIC))
    options = {
        (unit, name): option(unit, name, Recovery.FORWARD_ONLY if name == OS else Recovery.ROLL_BACK)
        for unit, names in known.updates.items()
        for name in names
    }
    held = hold_under(options, known)
    assert {pair: found.option for pair, found in held.items()} == {
        ("leaf-1", LEAF): Recovery.FORWARD_ONLY,
        ("n1", NIC): Recovery.FORWARD_ONLY,
        ("n1", OS): Recovery.FORWARD_ONLY,
        ("n2", NIC): Recovery.ROLL_BACK,
    }
    assert held["leaf-1", LEAF].reason.code is Code.RECOVERY_HELD_UNDER
    assert held["leaf-1", LEAF].to_version == ""


@pytest.mark.parametrize(
    ("versions", "before", "expected"), [("2.0", "1.0", "1.0"), ("1.0", "", "1.0"), ("2.0", "", "")]
)
def test_device_goes_back_to_the_last_good_version_from_before(versions: str, before: str, expected: str) -> None:
    kept = {"tor_os": before} if before else {}
    known = LastGood(versions={"tor_os": versions}, before=kept, at=NOW)
    found = find_option(CATALOGUE.updates[TOR], switch(), FLEET.clusters[WINDOW.cluster], known, CATALOGUE)
    assert found.to_version == expected
    assert found.option is (Recovery.ROLL_BACK if expected else Recovery.FORWARD_ONLY)


def test_only_an_update_that_drains_asks_for_every_node_behind_its_device() -> None:
    cluster = FLEET.clusters[WINDOW.cluster]
    known = LastGood(versions={"tor_os": "1.0", "rm_fw": "1.0"}, before={}, at=NOW)
    beyond = (NodeId("c0-n900"),)
    told = find_option(CATALOGUE.updates[TOR], switch(), cluster, known, CATALOGUE, beyond=beyond)
    assert told.reason.code is Code.RECOVERY_NOT_EMPTIED
    told = find_option(CATALOGUE.updates[MANAGER], switch(RACK_MANAGER), cluster, known, CATALOGUE, beyond=beyond)
    assert told.option is Recovery.ROLL_BACK


def switch(name: DeviceId = SWITCH, state: UnitState = UnitState.PENDING, **more: object) -> UnitOp:
    """A device that is to be rolled back."""
    bit = SCRIPT.bits[SCRIPT.devices[name].update.id]
    op = UnitOp(
        id=1,
        run=RunId("run_1"),
        window=WINDOW.id,
        unit=name,
        kind=UnitKind.DEVICE,
        cluster=WINDOW.cluster,
        fault_domain="",
        rank=0,
        in_service_before=True,
        state=state,
        begun=True,
        active=bit,
        applied=bit,
        undo=bit,
    )
    return replace(op, **more)  # type: ignore[arg-type]


def node(name: NodeId = BEHIND, state: UnitState = UnitState.DRAINED, **more: object) -> UnitOp:
    """A node behind the switch, empty unless told otherwise."""
    op = replace(switch(), unit=name, kind=UnitKind.NODE, undo=0, applied=0, active=0, drained_at=NOW)
    return replace(op, state=state, **more)  # type: ignore[arg-type]


def facts(nodes: Callable[[str], UnitOp | None] = node, intents: Intents | None = None) -> Facts:  # type: ignore[assignment]
    """All nodes behind it are as `nodes` says."""
    targets = {(WINDOW.id, SWITCH): {TOR: "1.0"}, (WINDOW.id, RACK_MANAGER): {MANAGER: "1.0"}}
    found = replace(FACTS, standing=nodes, undo_targets=targets)
    return found if intents is None else replace(found, intents=intents)


def seen(version: str, *, at: datetime = NOW) -> DeviceSeen:
    return DeviceSeen(device=SWITCH, reachable=True, version=version, repaired_at=None, observed_at=at)


def after(op: UnitOp, progress: Progress | None = None, version: str = "", known: Facts | None = None) -> Decision:
    looked = seen(version) if version else None
    return decide(op, Seen(progress=progress, device=looked, looked=bool(version)), known or facts())


def test_switch_is_written_back_when_every_node_behind_it_is_empty() -> None:
    decided = after(switch())
    assert isinstance(decided, Begin)
    assert (decided.event, decided.step, decided.attempt) == (UnitEvent.UNDO, UNDO_TOR, 1)


@pytest.mark.parametrize(
    "in_the_way",
    [
        node(state=UnitState.RETURNED),
        node(state=UnitState.PENDING, drained_at=None),
        node(state=UnitState.LOCKED, drained_at=None),
        node(state=UnitState.DRAINING, drained_at=None),
        node(state=UnitState.VERIFYING, asked=Asked.UNDER_WAY),
        node(state=UnitState.APPLYING, asked=Asked.UNDER_WAY),
        node(state=UnitState.PROVEN),
        node(state=UnitState.PROVEN, asked=Asked.UNDER_WAY, step="give_back"),
        node(state=UnitState.FAILED, step="drain", drained_at=None),
        node(astray_since=NOW),
        None,
    ],
)
def test_switch_waits_for_a_node_that_may_serve_or_is_at_work(in_the_way: UnitOp | None) -> None:
    decided = after(switch(), known=facts(lambda name: in_the_way if name == BEHIND else node(NodeId(name))))
    assert isinstance(decided, Park)
    assert (decided.gate, decided.reason.code) == (Gate.NODES, Code.WAITS_FOR_NODES)


@pytest.mark.parametrize("found", [node(state=UnitState.GONE), node(state=UnitState.FAILED, step="verify")])
def test_switch_does_not_wait_for_a_node_that_left_or_failed_empty(found: UnitOp) -> None:
    decided = after(switch(), known=facts(lambda name: found if name == BEHIND else node(NodeId(name))))
    assert isinstance(decided, Begin)


def test_update_that_builds_on_the_device_is_off_its_nodes_first() -> None:
    leaf = switch(DeviceId("c0-u0-ib_leaf"))
    with_nic = node(undo=SCRIPT.bits[NIC], active=SCRIPT.bits[NIC])
    known = facts(lambda name: with_nic if name == BEHIND else node(NodeId(name)))
    known = replace(known, undo_targets={(WINDOW.id, leaf.unit): {LEAF: "1.0"}})
    decided = after(leaf, known=known)
    assert isinstance(decided, Park)
    assert decided.gate is Gate.NODES


def test_switch_keeps_its_update_when_a_node_behind_it_is_let_go_before_it_was_touched() -> None:
    gone = facts(lambda name: node(NodeId(name), state=UnitState.LEFT_OUT))
    decided = after(switch(), known=gone)
    assert isinstance(decided, Leave)
    assert isinstance(after(switch(active=0, applied=0), known=gone), Park)  # it does not run it for sure any more


def test_abort_leaves_the_switch_as_it_is() -> None:
    word = Intent(kind=ScopeKind.FLEET, scope=EVERYWHERE, desired=Desired.ABORT, actor="op", why="", at=NOW)
    known = replace(facts(intents=Intents(words=(word,))), device_versions={SWITCH: "2.0"})
    assert isinstance(after(switch(), version="2.0", known=known), Leave)
    assert isinstance(after(switch(), version="1.5", known=known), Watch)


@pytest.mark.parametrize(
    ("version", "expected"), [("1.0", Prove), ("2.0", EndStep), ("1.0.1", EndStep), ("0.9", EndStep), ("", Watch)]
)
def test_only_exactly_the_last_known_good_proves_a_roll_back(version: str, expected: type[Decision]) -> None:
    op = switch(state=UnitState.RECOVERING, step=UNDO_TOR, asked=Asked.UNDER_WAY, limit_at=NOW)
    assert isinstance(after(op, Succeeded(at=NOW), version), expected)


def test_unread_version_is_asked_for_again_and_a_switch_that_is_away_for_too_long_is_given_up() -> None:
    op = switch(state=UnitState.RECOVERING, step=UNDO_TOR, asked=Asked.UNDER_WAY, limit_at=NOW + timedelta(hours=1))
    assert isinstance(after(op, Succeeded(at=NOW)), Watch)
    away = Seen(progress=Succeeded(at=NOW), device=replace(seen("1.0"), reachable=False), looked=True)
    assert isinstance(decide(op, away, facts()), Watch)
    assert isinstance(decide(replace(op, limit_at=NOW), away, facts()), GiveUp)


@pytest.mark.parametrize("asked", [Asked.INTENDED, Asked.UNSURE, Asked.UNDER_WAY])
@pytest.mark.parametrize(("state", "step"), [("recovering", "undo:1.0 bmc"), ("rebooting", "undo_reboot")])
def test_what_was_rolled_back_on_a_node_is_read_before_it_is_written_again(state: str, step: str, asked: Asked) -> None:
    """However far its call was known to be: a process may have been killed right after it."""
    name = UpdateId("bmc") if state == "recovering" else NIC
    bit = SCRIPT.bits[name]
    op = node(state=UnitState(state), step=step, asked=asked, undo=bit, applied=bit, active=bit)
    known = replace(facts(), undo_targets={(WINDOW.id, BEHIND): {name: "1.0"}})
    done = Succeeded(at=NOW)
    assert isinstance(decide(op, Seen(progress=done, looked=True), known), Watch)
    looked = NodeSeen(
        node=BEHIND,
        reachable=True,
        state=small.NodeState.OUT_OF_SERVICE,
        versions=FLEET.nodes[BEHIND].versions,
        repaired_at=None,
        observed_at=NOW,
    )
    ended = decide(op, Seen(progress=done, node=looked, looked=True), known)
    assert isinstance(ended, EndStep)
    assert ended.why == ""
    away = Seen(progress=done, node=replace(looked, reachable=False), looked=True)
    assert isinstance(decide(replace(op, limit_at=NOW), away, known), GiveUp)


def test_write_that_came_right_after_all_is_not_done_again() -> None:
    op = switch(state=UnitState.RECOVERING, step=UNDO_TOR, asked=Asked.UNDER_WAY)
    assert isinstance(after(op, Failed(at=NOW, why="no"), "1.0"), Prove)
    reset = replace(op, state=UnitState.RESETTING, step=f"reset:{UNDO_TOR}")
    assert isinstance(after(reset, Succeeded(at=NOW), "1.0"), Prove)
    assert isinstance(after(reset, Succeeded(at=NOW), "2.0"), EndStep)


def test_false_done_is_given_up_after_the_usual_tries() -> None:
    op = switch(state=UnitState.RECOVERING, step=UNDO_TOR, asked=Asked.UNDER_WAY, retries={UNDO_TOR: 2})
    assert isinstance(after(op, Succeeded(at=NOW), "2.0"), GiveUp)


def test_update_that_is_being_written_ends_before_it_is_taken_back() -> None:
    op = switch(state=UnitState.APPLYING, step="apply:tor", asked=Asked.UNDER_WAY, active=0, applied=0)
    for progress in (Succeeded(at=NOW), Failed(at=NOW, why="no"), NeverAsked()):
        ended = after(op, progress, "2.0")
        assert isinstance(ended, EndStep), progress
    assert isinstance(after(op, Running(check_again_at=None)), Watch)


def test_failed_switch_is_reset_only_when_its_nodes_are_empty() -> None:
    op = switch(state=UnitState.FAILED, step="apply:tor", failed_at=NOW)
    decided = after(op, version="1.7")
    assert isinstance(decided, Begin)
    assert (decided.event, decided.step) == (UnitEvent.RECOVER, "reset:undo")
    waits = after(op, version="1.7", known=facts(lambda name: node(NodeId(name), state=UnitState.RETURNED)))
    assert isinstance(waits, Watch)
    assert waits.reason is not None
    assert waits.reason.code is Code.WAITS_FOR_NODES
    tired = replace(op, retries={"undo": 3})
    assert not isinstance(after(tired, version="1.7"), Begin)


def test_failed_node_whose_reset_fails_is_reset_ever_later_and_three_times_at_most() -> None:
    """A controller that is dead answers every reset at once, with a no."""
    reachable = NodeSeen(
        node=BEHIND,
        reachable=True,
        state=small.NodeState.OUT_OF_SERVICE,
        versions=FLEET.nodes[BEHIND].versions,
        repaired_at=None,
        observed_at=NOW,
    )
    bit, at, begun = SCRIPT.bits[OS], NOW, []
    op = node(state=UnitState.FAILED, step="apply:os", undo=bit, applied=bit, failed_at=NOW)
    while at < NOW + timedelta(hours=2):
        known = replace(facts(), now=at, undo_targets={(WINDOW.id, BEHIND): {OS: "1.0"}})
        decided = decide(op, Seen(node=replace(reachable, observed_at=at), looked=True), known)
        if isinstance(decided, Begin):
            begun.append((at - NOW, decided.step, decided.attempt))
            op = replace(carry_out(op, decided, at), asked=Asked.UNDER_WAY)
            given_up = decide(op, Seen(progress=Failed(at=at, why="no answer"), looked=True), known)
            assert isinstance(given_up, GiveUp)
            op = replace(carry_out(op, given_up, at), asked=Asked.NOTHING)
        at += timedelta(minutes=5)
    minutes = [timedelta(minutes=number) for number in (0, 10, 30)]
    assert begun == [(after, "reset:undo", number) for number, after in enumerate(minutes, start=1)]


def test_failed_device_that_nodes_need_is_written_back_without_a_reset() -> None:
    serving = facts(lambda name: node(NodeId(name), state=UnitState.RETURNED))
    op = switch(RACK_MANAGER, state=UnitState.FAILED, step="apply:manager", failed_at=NOW)
    decided = after(op, version="1.7", known=serving)
    assert isinstance(decided, Begin)
    assert (decided.event, decided.step) == (UnitEvent.UNDO, "undo:1.0 manager")


def test_node_waits_with_an_update_that_its_device_builds_on() -> None:
    """The switch was written after the node's os: it goes back before."""
    tor = replace(SCRIPT.devices[SWITCH].update, after=(OS,))
    script = replace(SCRIPT, devices={**SCRIPT.devices, SWITCH: replace(SCRIPT.devices[SWITCH], update=tor)})
    known = replace(facts(lambda _: switch()), script=script, unproven={SWITCH: UnitState.PENDING})
    known = replace(known, undo_targets={(WINDOW.id, BEHIND): {OS: "1.0", NIC: "1.0"}})
    os, nic = SCRIPT.bits[OS], SCRIPT.bits[NIC]
    decided = decide_undo(node(undo=os | nic, active=os | nic, applied=os | nic), None, None, known)
    assert isinstance(decided, Park)
    assert (decided.gate, decided.reason.code) == (Gate.DEVICE, Code.RECOVERY_IN_TURN)
    free = decide_undo(node(undo=os, active=os, applied=os), None, None, replace(known, unproven={}))
    assert isinstance(free, Begin)
    assert free.step == "undo:1.0 os"


@pytest.mark.parametrize(("version", "clears"), [("1.0", True), ("2.0", False)])
def test_reset_after_a_roll_back_that_had_come_right_ends_it(version: str, clears: bool) -> None:
    bit = SCRIPT.bits[OS]
    op = node(state=UnitState.RESETTING, step="reset:undo:1.0 os", asked=Asked.UNDER_WAY, undo=bit, applied=bit)
    versions = {**FLEET.nodes[BEHIND].versions, "host_os": version}
    looked = NodeSeen(
        node=BEHIND,
        reachable=True,
        state=small.NodeState.OUT_OF_SERVICE,
        versions=versions,
        repaired_at=None,
        observed_at=NOW,
    )
    known = replace(facts(), undo_targets={(WINDOW.id, BEHIND): {OS: "1.0"}})
    decided = decide(op, Seen(progress=Succeeded(at=NOW), node=looked), known)
    assert isinstance(decided, EndStep)
    assert (decided.applied == 0) is clears


@pytest.mark.parametrize("version", ["1.0", ""])
def test_repair_that_brings_what_was_left_out_makes_nothing_of_it(version: str) -> None:
    """A node that goes on without an update is not written back to a version that nobody ordered."""
    op = node(state=UnitState.IN_REPAIR, undo=SCRIPT.bits[NIC], step="repair", step_started_at=NOW)
    looked = NodeSeen(
        node=BEHIND,
        reachable=True,
        state=small.NodeState.OUT_OF_SERVICE,
        versions={**FLEET.nodes[BEHIND].versions, "nic_fw": "2.0"},
        repaired_at=NOW,
        observed_at=NOW,
    )
    targets = {(WINDOW.id, BEHIND): {NIC: version} if version else {}}
    decided = decide(op, Seen(node=looked), replace(facts(), undo_targets=targets))
    assert isinstance(decided, Resume)
    assert bool(decided.active & SCRIPT.bits[NIC]) is bool(version)


def test_roll_back_that_failed_is_owned_by_the_team_of_the_update() -> None:
    why = reason(Code.STEP_FAILED, step="the roll-back of tor", tries=3, unit=SWITCH, why="no")
    failed = switch(state=UnitState.FAILED, step=UNDO_TOR, reason=why)
    assert choose_owner(failed, FLEET.clusters[WINDOW.cluster], CATALOGUE) == "switches"
