"""What is seen to run already is not written again, and nothing is written again because nobody could look."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.simulation import small

from fermata.domain.decide import Seen, decide
from fermata.domain.decide_begin import Facts
from fermata.domain.decide_return import decide_return
from fermata.domain.decisions import (
    Accept,
    Begin,
    Decision,
    EndStep,
    HandBack,
    Leave,
    Postpone,
    Prove,
    Repeat,
    Resume,
    Watch,
)
from fermata.domain.evidence import case_of, note_progress
from fermata.domain.fleet import NodeState
from fermata.domain.ids import DeviceId, NodeId, RunId, UpdateId
from fermata.domain.intents import EVERYWHERE, NO_INTENTS, Intent, Intents, ScopeKind
from fermata.domain.node_states import UnitEvent, UnitKind, UnitState
from fermata.domain.observations import (
    Accepted,
    Answer,
    DeviceSeen,
    Failed,
    Later,
    NeverAsked,
    NodeSeen,
    Progress,
    Running,
    Succeeded,
    Unsure,
)
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.pending import find_pending
from fermata.domain.readmission import Evidence, NotReadmitted, Reading, judge
from fermata.domain.reasons import Code
from fermata.domain.repairs import REPAIR
from fermata.domain.run_states import Desired
from fermata.domain.scripts import APPLY_PREFIX, GIVE_BACK, RESET_PREFIX, read_script
from fermata.domain.settle import judge_answer
from fermata.domain.tally import Tally

FLEET, CATALOGUE, CAMPAIGN = small.fleet(), small.catalogue(), small.campaign()
WINDOW = small.plan(FLEET, CATALOGUE, CAMPAIGN).windows[0]
SCRIPT = read_script(WINDOW, FLEET, find_pending(FLEET, CATALOGUE), CATALOGUE)
NOW = WINDOW.start + timedelta(hours=1)
FACTS = Facts(
    now=NOW,
    script=SCRIPT,
    catalogue=CATALOGUE,
    intents=NO_INTENTS,
    begin_again_at=None,
    tally=Tally(CATALOGUE, ()),
    unproven={},
    standing=lambda _unit: None,
    device_versions={},
    carriers={},
    nodes_before=FLEET.nodes,
)
NODE = NodeId("c0-n001")
MANAGER = next(device for device in FLEET.devices.values() if device.kind == "rack_manager").name


def reset_during(update: str, kind: UnitKind) -> UnitOp:
    """A unit whose reset, after it took too long over `update`, has just ended."""
    return UnitOp(
        id=1,
        run=RunId("run_1"),
        window=WINDOW.id,
        unit=NODE if kind is UnitKind.NODE else MANAGER,
        kind=kind,
        cluster=WINDOW.cluster,
        fault_domain="0",
        rank=0,
        in_service_before=True,
        state=UnitState.RESETTING,
        step=f"{RESET_PREFIX}{APPLY_PREFIX}{update}",
        asked=Asked.UNDER_WAY,
    )


def decide_node(update: str, version: str) -> Decision:
    component = CATALOGUE.updates[UpdateId(update)].component
    seen = NodeSeen(
        node=NODE,
        reachable=True,
        state=NodeState.OUT_OF_SERVICE,
        versions={**FLEET.nodes[NODE].versions, component: version},
        repaired_at=None,
        observed_at=NOW,
    )
    return decide(reset_during(update, UnitKind.NODE), Seen(progress=Succeeded(at=NOW), node=seen), FACTS)


@pytest.mark.parametrize("update", ["bmc", "nic"])
def test_a_write_that_ended_before_the_reset_is_done(update: str) -> None:
    decided = decide_node(update, "2.0")
    assert isinstance(decided, EndStep)
    bit = SCRIPT.bits[UpdateId(update)]
    assert (decided.applied, decided.active, decided.retries) == (bit, bit, {})


def test_a_write_that_did_not_end_is_tried_again() -> None:
    decided = decide_node("bmc", "1.0")
    assert isinstance(decided, EndStep)
    assert (decided.applied, decided.active, decided.retries) == (0, 0, {f"{APPLY_PREFIX}bmc": 1})


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_no_key_of_a_reset_is_used_twice(attempt: int) -> None:
    op = replace(reset_during("bmc", UnitKind.NODE), attempt=attempt)
    ended = decide(op, Seen(progress=Succeeded(at=NOW), node=seen_node()), FACTS)
    assert isinstance(ended, EndStep)
    writing = replace(op, state=UnitState.APPLYING, step=f"{APPLY_PREFIX}bmc", retries=ended.retries, tries_max=9)
    again = decide(writing, Seen(progress=Failed(at=NOW, why="no"), node=seen_node()), FACTS)
    assert isinstance(again, Begin)
    assert (again.event, again.attempt) == (UnitEvent.RESET, attempt + 1)


@pytest.mark.parametrize(("looked_at", "goes"), [(NOW + timedelta(minutes=1), True), (None, False)])
def test_what_is_seen_while_a_batch_is_looked_at_is_no_news_from_the_future(
    looked_at: datetime | None, goes: bool
) -> None:
    """Time goes on between the instant of a batch and the answers of its targets."""
    since = NOW + timedelta(seconds=30)
    due = SCRIPT.nodes[NODE].due
    read = Reading(
        at=since,
        versions={target.component: target.version for target in SCRIPT.targets(NODE)},
        reachable=True,
        in_service=False,
        locked=True,
    )
    evidence = Evidence(checked_at=since, healthy=True, reading=read)
    op = replace(reset_during("bmc", UnitKind.NODE), state=UnitState.PROVEN, step="", asked=Asked.NOTHING)
    op = replace(op, applied=due, active=due, evidence=evidence)
    decided = decide_return(op, None, replace(FACTS, gaps={NODE: ()}, looked_at=looked_at))
    assert isinstance(decided, HandBack) is goes


@pytest.mark.parametrize(("minutes", "counts"), [(-90, False), (30, True)])
def test_a_repair_while_a_node_is_held_is_a_change_of_it(minutes: int, counts: bool) -> None:
    """Whoever was checked before is checked again, and whoever an abort gives back is not untouched."""
    locked_at = NOW - timedelta(hours=1)
    repaired_at = locked_at + timedelta(minutes=minutes)
    checked = Evidence(changed_at=None, checked_at=locked_at + timedelta(minutes=20), healthy=True)
    op = replace(reset_during("bmc", UnitKind.NODE), state=UnitState.PROVEN, step="", asked=Asked.NOTHING)
    op = replace(op, locked_at=locked_at, evidence=checked)
    after = note_progress(op, None, replace(seen_node(), repaired_at=repaired_at), SCRIPT)
    assert after.evidence.changed_at == repaired_at
    case = case_of(after, SCRIPT, (), {}, ends=True)
    verdict = judge(replace(case, is_untouched=False), NOW)
    lacking = {why.code for why in verdict.missing} if isinstance(verdict, NotReadmitted) else set()
    assert (Code.RETURN_CHECK_EARLY in lacking) is counts
    assert case.is_untouched is not counts


@pytest.mark.parametrize(("version", "expected"), [("2.0", Prove), ("1.0", EndStep)])
def test_a_device_is_proven_by_what_it_reports_after_its_reset(version: str, expected: type[Decision]) -> None:
    seen = DeviceSeen(device=DeviceId(MANAGER), reachable=True, version=version, repaired_at=None, observed_at=NOW)
    op = replace(reset_during("manager", UnitKind.DEVICE))
    assert isinstance(decide(op, Seen(progress=Succeeded(at=NOW), device=seen), FACTS), expected)


def seen_node(**versions: str) -> NodeSeen:
    return NodeSeen(
        node=NODE,
        reachable=True,
        state=NodeState.OUT_OF_SERVICE,
        versions={**FLEET.nodes[NODE].versions, **versions},
        repaired_at=None,
        observed_at=NOW,
    )


def judged(state: UnitState, step: str, progress: Progress, node: NodeSeen | None) -> Decision:
    op = replace(reset_during("bmc", UnitKind.NODE), state=state, step=step, position=3)
    return decide(op, Seen(progress=progress, node=node), FACTS)


@pytest.mark.parametrize(
    ("state", "step", "progress"),
    [
        (UnitState.APPLYING, f"{APPLY_PREFIX}bmc", Succeeded(at=NOW)),
        (UnitState.APPLYING, f"{APPLY_PREFIX}bmc", Failed(at=NOW, why="no answer")),
        (UnitState.RESETTING, f"{RESET_PREFIX}{APPLY_PREFIX}bmc", Succeeded(at=NOW)),
        (UnitState.REBOOTING, "reboot:3", Succeeded(at=NOW)),
        (UnitState.VERIFYING, "verify", Succeeded(at=NOW)),
    ],
)
@pytest.mark.parametrize("node", [None, replace(seen_node(), reachable=False)], ids=["unseen", "unreachable"])
def test_nothing_is_judged_by_versions_that_nobody_read(
    state: UnitState, step: str, progress: Progress, node: NodeSeen | None
) -> None:
    assert isinstance(judged(state, step, progress, node), Watch)


@pytest.mark.parametrize(("version", "expected"), [("2.0", EndStep), ("1.0", Begin)])
def test_a_write_that_says_it_failed_is_judged_by_what_runs(version: str, expected: type[Decision]) -> None:
    failed = Failed(at=NOW, why="no answer from the updater")
    decided = judged(UnitState.APPLYING, f"{APPLY_PREFIX}bmc", failed, seen_node(bmc_fw=version))
    assert isinstance(decided, expected)


@pytest.mark.parametrize("state", [UnitState.FAILED, UnitState.IN_REPAIR])
@pytest.mark.parametrize(("minutes", "expected"), [(-1, Watch), (0, Resume)])
def test_a_report_older_than_the_repair_it_tells_of_says_nothing(
    state: UnitState, minutes: int, expected: type[Decision]
) -> None:
    repaired = replace(seen_node(), repaired_at=NOW, observed_at=NOW + timedelta(minutes=minutes))
    op = replace(reset_during("bmc", UnitKind.NODE), state=state, asked=Asked.NOTHING, failed_at=WINDOW.start)
    assert isinstance(decide(op, Seen(node=repaired), FACTS), expected)


def after_abort(state: UnitState, progress: Progress | None, *, begun: bool) -> Decision:
    word = Intent(kind=ScopeKind.FLEET, scope=EVERYWHERE, desired=Desired.ABORT, actor="ann", why="smoke", at=NOW)
    asked = Asked.NOTHING if progress is None else Asked.UNDER_WAY
    base = reset_during("bmc", UnitKind.NODE)
    bits = SCRIPT.bits[UpdateId("bmc")] if begun else 0
    op = replace(base, state=state, step=state.value, asked=asked, begun=begun, applied=bits, active=bits)
    node = seen_node(**({CATALOGUE.updates[UpdateId("bmc")].component: "2.0"} if begun else {}))
    return decide(op, Seen(progress=progress, node=node, looked=True), replace(FACTS, intents=Intents(words=(word,))))


def test_a_written_node_that_is_locked_anew_is_drained_and_checked_before_an_abort_gives_it_back() -> None:
    drain = after_abort(UnitState.LOCKED, None, begun=True)
    assert isinstance(drain, Begin)
    assert drain.event is UnitEvent.DRAIN
    assert isinstance(after_abort(UnitState.LOCKED, NeverAsked(), begun=True), Repeat)
    assert isinstance(after_abort(UnitState.DRAINING, NeverAsked(), begun=True), Repeat)
    emptied = after_abort(UnitState.DRAINING, Succeeded(at=NOW), begun=True)
    assert isinstance(emptied, EndStep)
    assert emptied.event is UnitEvent.EMPTIED
    check = after_abort(UnitState.DRAINED, None, begun=True)
    assert isinstance(check, Begin)
    assert check.event is UnitEvent.VERIFY


@pytest.mark.parametrize("state", [UnitState.LOCKED, UnitState.DRAINING])
def test_an_untouched_node_goes_back_from_the_lock_at_once(state: UnitState) -> None:
    gone = after_abort(state, None if state is UnitState.LOCKED else Succeeded(at=NOW), begun=False)
    assert isinstance(gone, Prove)
    assert gone.event is UnitEvent.UNCHANGED


@pytest.mark.parametrize("again", [None, NOW + timedelta(minutes=1)])
def test_node_is_back_when_its_return_is_accepted_unless_the_target_says_when_to_look(again: datetime | None) -> None:
    """A scale set takes minutes to start an instance, and may fail."""
    op = replace(reset_during("bmc", UnitKind.NODE), state=UnitState.PROVEN, step=GIVE_BACK, asked=Asked.INTENDED)
    answer = judge_answer(op, Accepted(check_again_at=again), FACTS)
    if again is None:
        assert answer == Leave(event=UnitEvent.GIVE_BACK, reason=None)
        return
    assert answer == Accept(check_again_at=again)
    coming = replace(op, asked=Asked.UNDER_WAY)
    assert decide_return(coming, Running(check_again_at=again), FACTS) == Watch(until=again)
    assert decide_return(coming, Succeeded(at=NOW), FACTS) == Leave(event=UnitEvent.GIVE_BACK, reason=None)


@pytest.mark.parametrize(
    ("state", "answer", "minutes"),
    [
        (UnitState.FAILED, Later(after=timedelta(days=1)), 10),
        (UnitState.FAILED, Later(after=timedelta(minutes=2)), 2),
        (UnitState.IN_REPAIR, Later(after=timedelta(days=1)), 10),
        (UnitState.IN_REPAIR, Unsure(), 1),
        (UnitState.LOCKED, Later(after=timedelta(days=1)), 24 * 60),
    ],
)
def test_a_unit_is_looked_at_however_long_the_notifier_wants_to_be_left_alone(
    state: UnitState, answer: Answer, minutes: int
) -> None:
    op = replace(reset_during("bmc", UnitKind.NODE), state=state, step=REPAIR, asked=Asked.INTENDED, failed_at=NOW)
    assert judge_answer(op, answer, FACTS) == Postpone(until=NOW + timedelta(minutes=minutes))
    if state is not UnitState.LOCKED:
        late = replace(op, failed_at=NOW - timedelta(hours=1))
        assert judge_answer(late, Unsure(), FACTS) == Postpone(until=NOW + timedelta(minutes=10))


@pytest.mark.parametrize("state", [UnitState.FAILED, UnitState.IN_REPAIR])
def test_what_is_seen_counts_though_nobody_could_be_told_yet_and_else_they_are_told_again(state: UnitState) -> None:
    op = replace(reset_during("bmc", UnitKind.NODE), state=state, asked=Asked.INTENDED, failed_at=WINDOW.start)
    assert isinstance(decide(op, Seen(node=seen_node()), FACTS), Repeat if state is UnitState.FAILED else Resume)
    repaired = replace(seen_node(), repaired_at=NOW)
    assert isinstance(decide(op, Seen(node=repaired), FACTS), Resume)
    assert isinstance(decide(op, Seen(), FACTS), Repeat)
