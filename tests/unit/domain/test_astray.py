"""Nodes that went back behind our back: who is one, and that nothing with impact begins on them, whatever is seen."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.domain.test_decide import FACTS, FLEET, NODE, NOW, SCRIPT, WINDOW

from fermata.domain.astray import HARMLESS_INTENTS, hold_unseen, judge_sighting, mark_astray
from fermata.domain.blocking import blocking_nodes
from fermata.domain.decide import Seen, decide
from fermata.domain.decide_begin import begin_device
from fermata.domain.decisions import Begin, HandBack, Leave, Park, Prove, Repeat, Watch, carry_out
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, RunId
from fermata.domain.node_states import EMPTY, OUT, UnitEvent, UnitKind, UnitState
from fermata.domain.observations import Failed, NeverAsked, NodeSeen, Progress, Running, Succeeded
from fermata.domain.operations import Asked, Gate, UnitOp
from fermata.domain.readmission import Evidence, Reading
from fermata.domain.reasons import Code, reason
from fermata.domain.scripts import DRAIN, LOCK, VERIFY

OWN = SCRIPT.nodes[NODE]
WHY = reason(Code.NODE_ASTRAY, unit=NODE, window=WINDOW.id, step="its reboot")
STEPS = {
    UnitState.LOCKED: LOCK,
    UnitState.DRAINING: DRAIN,
    UnitState.APPLYING: "apply:gpu",
    UnitState.REBOOTING: SCRIPT.labels[next(i for i in OWN.steps if SCRIPT.activates[i])],
    UnitState.RESETTING: "reset:apply:gpu",
    UnitState.VERIFYING: VERIFY,
    UnitState.PROVEN: "give_back",
    UnitState.FAILED: "apply:gpu",
}
BUSY = (
    UnitState.LOCKED,
    UnitState.DRAINING,
    UnitState.APPLYING,
    UnitState.REBOOTING,
    UnitState.RESETTING,
    UnitState.VERIFYING,
)
IDLE = (UnitState.DRAINED, UnitState.PROVEN)


def op(state: UnitState, asked: Asked = Asked.NOTHING) -> UnitOp:
    return UnitOp(
        id=1,
        run=RunId("run_1"),
        window=WINDOW.id,
        unit=NODE,
        kind=UnitKind.NODE,
        cluster=WINDOW.cluster,
        fault_domain="1",
        rank=0,
        in_service_before=True,
        state=state,
        step=STEPS.get(state, ""),
        asked=asked,
        position=next(i for i in OWN.steps if SCRIPT.activates[i]),
        applied=OWN.due,
        active=OWN.due,
        step_started_at=NOW - timedelta(minutes=30),
        limit_at=NOW + timedelta(minutes=30),
        drained_at=NOW - timedelta(hours=1) if state in EMPTY else None,
    )


def seen(*, in_service: bool = False, locked: bool | None = True, version: str = "2.0") -> NodeSeen:
    return NodeSeen(
        node=NODE,
        reachable=True,
        state=NodeState.IN_SERVICE if in_service else NodeState.OUT_OF_SERVICE,
        versions=dict.fromkeys(FLEET.nodes[NODE].versions, version),
        repaired_at=None,
        observed_at=NOW,
        locked=locked,
    )


def cases() -> Iterator[tuple[UnitState, bool, bool | None, Code | None]]:
    for state in sorted(EMPTY):
        yield state, False, True, None
        yield state, False, None, None
        yield state, True, True, Code.NODE_ASTRAY
        yield state, True, False, Code.NODE_ASTRAY
        yield state, False, False, Code.NODE_UNLOCKED
    yield UnitState.DRAINING, True, True, None
    yield UnitState.DRAINING, True, False, Code.NODE_UNLOCKED
    for state in sorted(set(UnitState) - OUT | {UnitState.LOCKED}):
        yield state, True, False, None


@pytest.mark.parametrize(("state", "in_service", "locked", "code"), list(cases()))
def test_who_is_out_of_our_hands(state: UnitState, in_service: bool, locked: bool | None, code: Code | None) -> None:
    found = judge_sighting(op(state), seen(in_service=in_service, locked=locked))
    assert (found.code if found else None) == code


def test_drain_that_failed_leaves_a_node_in_service_that_is_ours_no_more() -> None:
    failed = Failed(at=NOW, why="resumed")
    found = judge_sighting(op(UnitState.DRAINING, Asked.UNDER_WAY), seen(in_service=True), failed)
    assert found is not None
    assert found.code is Code.NODE_ASTRAY


@pytest.mark.parametrize(
    ("progress", "raised"), [(None, False), (Running(), False), (Succeeded(at=NOW), False), (NeverAsked(), True)]
)
def test_node_that_we_may_have_given_back_ourselves_is_not_raised(progress: Progress | None, raised: bool) -> None:
    found = judge_sighting(op(UnitState.PROVEN, Asked.INTENDED), seen(in_service=True, locked=False), progress)
    assert (found is not None) is raised


def test_mark_wipes_the_evidence_and_nobody_is_marked_twice() -> None:
    reading = Reading(at=NOW, versions={}, reachable=True, in_service=False, locked=True)
    proven = replace(op(UnitState.PROVEN), evidence=Evidence(checked_at=NOW, healthy=True, reading=reading))
    marked = mark_astray(proven, WHY, NOW)
    assert (marked.evidence.reading, marked.evidence.checked_at) == (None, None)
    assert (marked.astray_since, marked.tail_since, marked.next_at, marked.reason) == (NOW, NOW, NOW, WHY)
    assert judge_sighting(marked, seen(in_service=True)) is None


PROGRESS = st.sampled_from(
    [Succeeded(at=NOW), Failed(at=NOW, why="no"), Running(), Running(check_again_at=NOW + timedelta(minutes=1))]
)


@given(
    state=st.sampled_from(BUSY),
    progress=PROGRESS,
    version=st.sampled_from(["1.0", "2.0"]),
    hung=st.booleans(),
    locked=st.booleans(),
    in_service=st.booleans(),
)
def test_nothing_with_impact_is_decided_on_a_marked_node_whose_step_ends_hangs_or_fails(
    state: UnitState, progress: Progress, version: str, hung: bool, locked: bool, in_service: bool
) -> None:
    busy = replace(op(state, Asked.UNDER_WAY), limit_at=NOW if hung else NOW + timedelta(minutes=9))
    marked = mark_astray(busy, WHY, NOW - timedelta(minutes=1))
    look = Seen(progress=progress, node=seen(in_service=in_service, locked=locked, version=version))
    decision = decide(marked, look, FACTS)
    assert not isinstance(decision, HandBack | Leave | Prove)
    harmless = {UnitEvent.LOCK, UnitEvent.DRAIN} if state is UnitState.LOCKED else {UnitEvent.LOCK}
    assert not (isinstance(decision, Begin) and decision.event not in harmless)
    carry_out(marked, decision, NOW)  # and the table knows the move


@given(state=st.sampled_from(IDLE), version=st.sampled_from(["1.0", "2.0"]))
def test_marked_node_with_nothing_under_way_is_locked_again_under_a_fresh_key(state: UnitState, version: str) -> None:
    marked = mark_astray(op(state), WHY, NOW)
    decision = decide(marked, Seen(node=seen(version=version)), FACTS)
    assert isinstance(decision, Begin)
    assert (decision.event, decision.step, decision.attempt) == (UnitEvent.LOCK, LOCK, 2)
    locked = replace(carry_out(marked, decision, NOW), asked=Asked.NOTHING)
    drain = decide(locked, Seen(), FACTS)
    assert isinstance(drain, Begin)
    assert (drain.event, drain.attempt) == (UnitEvent.DRAIN, 2)
    draining = carry_out(locked, drain, NOW)
    assert draining.astray_since is None
    assert draining.reason is not None
    assert draining.reason.code is Code.NODE_REGAINED


def test_device_waits_for_a_marked_node_behind_it() -> None:
    leaf = SCRIPT.devices[DeviceId("c0-u0-ib_leaf")]
    drained = {name: replace(op(UnitState.DRAINED), unit=name, position=99) for name in leaf.behind}
    assert blocking_nodes(leaf, SCRIPT, drained.get) == ()
    drained[NODE] = mark_astray(drained[NODE], WHY, NOW)
    assert blocking_nodes(leaf, SCRIPT, drained.get) == (NODE,)
    device = replace(op(UnitState.PENDING), unit=leaf.device, kind=UnitKind.DEVICE)
    decision = begin_device(device, replace(FACTS, standing=drained.get))
    assert isinstance(decision, Park)
    assert decision.gate is Gate.NODES


@pytest.mark.parametrize("event", sorted({UnitEvent.APPLY, UnitEvent.REBOOT, UnitEvent.RESET, UnitEvent.VERIFY}))
@pytest.mark.parametrize(("asked", "expected"), [(Asked.NOTHING, Park), (Asked.UNDER_WAY, Watch)])
def test_nothing_with_impact_begins_on_what_nobody_looked_at(event: UnitEvent, asked: Asked, expected: type) -> None:
    begin = Begin(
        event=event, step="x", attempt=1, position=0, patience=timedelta(0), slip_minutes=0, changes_unit=True
    )
    row = op(UnitState.DRAINED, asked)
    assert isinstance(hold_unseen(row, begin, (NODE,), NOW), expected)
    assert hold_unseen(row, begin, (), NOW) is None
    assert hold_unseen(row, replace(begin, event=UnitEvent.LOCK), (NODE,), NOW) is None


@pytest.mark.parametrize("state", [s for s in BUSY if s not in HARMLESS_INTENTS])
def test_intent_of_a_step_that_was_never_asked_for_is_called_off_on_a_marked_node(state: UnitState) -> None:
    """The process died, or the target was busy, between the intent and the call."""
    marked = mark_astray(op(state, Asked.INTENDED), WHY, NOW)
    decision = decide(marked, Seen(progress=NeverAsked(), node=seen(in_service=True)), FACTS)
    assert carry_out(marked, decision, NOW).state is UnitState.DRAINED
    in_time = decide(op(state, Asked.INTENDED), Seen(progress=NeverAsked(), node=seen()), FACTS)
    assert isinstance(in_time, Repeat)
    assert isinstance(hold_unseen(op(state, Asked.INTENDED), in_time, (NODE,), NOW), Watch)


def test_return_under_way_is_never_repeated_without_proof() -> None:
    asked = op(UnitState.PROVEN, Asked.INTENDED)
    assert isinstance(decide(asked, Seen(), FACTS), Watch)
    assert not isinstance(decide(asked, Seen(progress=NeverAsked()), FACTS), Repeat | HandBack)
