"""A freeze that comes after a node was taken: nobody is locked in it, and whoever is locked goes on."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.simulation import small
from tests.unit.domain.test_decide import CATALOGUE, FACTS, FLEET, MANAGER, NODE, NOW, SCRIPT, WINDOW

from fermata.domain.decide import POLL, Seen, decide
from fermata.domain.decide_begin import Facts
from fermata.domain.decisions import Begin, Decision, Leave, Repeat, Watch, carry_out
from fermata.domain.ids import ExemptionId, FreezeId, NodeId, OrderId, RunId, UpdateId
from fermata.domain.intents import EVERYWHERE, Intent, Intents, ScopeKind
from fermata.domain.late_freezes import awaits_lock, find_freeze, may_be_frozen, work_left
from fermata.domain.node_states import UnitEvent, UnitKind, UnitState
from fermata.domain.observations import Failed, NeverAsked, Progress, Running, Succeeded
from fermata.domain.operations import Asked, UnitOp
from fermata.domain.policy import Exemption, Freeze, Said, Scope, ScopeLevel
from fermata.domain.reasons import Code
from fermata.domain.repairs import Handed
from fermata.domain.request_kinds import RequestKind
from fermata.domain.run_states import Desired
from fermata.domain.scripts import LOCK
from fermata.domain.updates import Criticality

HOUR = timedelta(hours=1)
FREEZE = Freeze(
    id=FreezeId("freeze-1"),
    customer=small.CUSTOMER,
    scope=Scope(level=ScopeLevel.CLUSTER, name=WINDOW.cluster),
    start=NOW - HOUR,
    end=NOW + 10 * HOUR,
    reason="a launch",
)
FROZEN = replace(FACTS, frozen={NODE: FREEZE})
SILENT = Running()  # what an observation becomes whose answer did not come


def op(state: UnitState, asked: Asked = Asked.NOTHING, **more: object) -> UnitOp:
    base = UnitOp(
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
        step=LOCK if state is UnitState.LOCKED else "",
        asked=asked,
        locked_at=NOW if state is UnitState.LOCKED else None,
        step_started_at=NOW,
        limit_at=NOW + HOUR,
    )
    return replace(base, **more)  # type: ignore[arg-type]


def judged(row: UnitOp, progress: Progress | None, facts: Facts = FROZEN) -> Decision:
    decision = decide(row, Seen(progress=progress), facts)
    carry_out(row, decision, NOW)  # a move that the machine knows
    return decision


PENDING, LOCKED = UnitState.PENDING, UnitState.LOCKED
CASES = [
    # what the simulator found, by its seed: taken as the freeze came, put off or killed before the call, no answer
    pytest.param(PENDING, Asked.NOTHING, None, Leave, id="141-taken-and-nothing-asked"),
    pytest.param(LOCKED, Asked.INTENDED, NeverAsked(), Leave, id="156-put-off"),
    pytest.param(LOCKED, Asked.UNSURE, NeverAsked(), Leave, id="155-no-answer-never-arrived"),
    pytest.param(LOCKED, Asked.UNSURE, SILENT, Watch, id="nobody-answers"),
    pytest.param(LOCKED, Asked.INTENDED, SILENT, Watch, id="put-off-and-nobody-answers"),
    pytest.param(LOCKED, Asked.INTENDED, None, Watch, id="nobody-looked"),
    pytest.param(LOCKED, Asked.UNSURE, Succeeded(at=NOW), Begin, id="accepted-after-all"),
    pytest.param(LOCKED, Asked.NOTHING, None, Begin, id="accepted"),
    pytest.param(LOCKED, Asked.UNSURE, Failed(at=NOW, why="no"), Leave, id="refused"),
]


@pytest.mark.parametrize(("state", "asked", "progress", "expected"), CASES)
def test_nobody_is_locked_in_a_freeze_and_whoever_is_locked_goes_on(
    state: UnitState, asked: Asked, progress: Progress | None, expected: type[Decision]
) -> None:
    decided = judged(op(state, asked), progress)
    assert isinstance(decided, expected)
    if isinstance(decided, Begin):
        assert decided.event is UnitEvent.DRAIN
    elif isinstance(decided, Leave | Watch):
        assert decided.reason is not None
        assert decided.reason.code is (Code.FROZEN_BEFORE_LOCK if expected is Leave else Code.WAITS_FOR_FREEZE)
        assert FREEZE.id in decided.reason.sentence


@pytest.mark.parametrize(
    ("state", "asked", "progress", "expected"),
    [
        (PENDING, Asked.NOTHING, None, Begin),
        (LOCKED, Asked.INTENDED, NeverAsked(), Repeat),
        (LOCKED, Asked.UNSURE, NeverAsked(), Repeat),
        (LOCKED, Asked.UNSURE, SILENT, Watch),
    ],
)
def test_without_a_freeze_the_lock_is_asked_for_again(
    state: UnitState, asked: Asked, progress: Progress | None, expected: type[Decision]
) -> None:
    assert isinstance(judged(op(state, asked), progress, FACTS), expected)


@pytest.mark.parametrize("facts", [FACTS, FROZEN], ids=["free", "frozen"])
def test_a_lock_of_which_nobody_says_anything_for_long_is_waited_for(facts: Facts) -> None:
    row = op(LOCKED, Asked.UNSURE, limit_at=NOW - HOUR)
    decided = judged(row, SILENT, facts)
    assert isinstance(decided, Watch)
    assert decided.until == NOW + POLL


@pytest.mark.parametrize("state", [PENDING, LOCKED])
def test_a_node_that_is_to_be_rolled_back_waits_for_the_end_of_the_freeze(state: UnitState) -> None:
    asked = Asked.NOTHING if state is PENDING else Asked.UNSURE
    row = op(state, asked, taken_again_at=NOW, tail_since=NOW, begun=True, undo=1, applied=1, retries={LOCK: 1})
    decided = judged(row, NeverAsked() if state is LOCKED else None)
    assert isinstance(decided, Watch)
    assert decided.until <= FREEZE.end
    assert decided.reason is not None
    assert decided.reason.code is Code.WAITS_FOR_FREEZE


def handed(order: str, *, ended: bool = False) -> Handed:
    return Handed(order=OrderId(order), kind=RequestKind.REPAIR, number=1, ended=ended)


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ({NODE: handed("wo_1")}, Leave),
        ({NODE: handed("wo_1"), "c0-n002": handed("wo_2")}, Leave),
        ({NODE: handed("wo_1"), "c0-n002": handed("wo_1")}, Watch),
        ({NODE: handed("wo_1", ended=True), "c0-n002": handed("wo_1", ended=True)}, Leave),
    ],
)
def test_nodes_of_one_work_order_are_not_torn_apart(orders: dict[str, Handed], expected: type[Decision]) -> None:
    assert isinstance(judged(op(PENDING), None, replace(FROZEN, handed=orders)), expected)


@pytest.mark.parametrize("desired", [Desired.STOP, Desired.ABORT, Desired.PAUSE])
@pytest.mark.parametrize(("state", "asked"), [(PENDING, Asked.NOTHING), (LOCKED, Asked.UNSURE)])
def test_whatever_operators_want_nobody_is_locked_in_a_freeze(desired: Desired, state: UnitState, asked: Asked) -> None:
    word = Intent(kind=ScopeKind.FLEET, scope=EVERYWHERE, desired=desired, actor="ann", why="smoke", at=NOW)
    facts = replace(FROZEN, intents=Intents(words=(word,)))
    assert isinstance(judged(op(state, asked), NeverAsked() if state is LOCKED else None, facts), Leave)


@pytest.mark.parametrize(
    ("row", "waits"),
    [
        (op(PENDING), True),
        (op(LOCKED, Asked.INTENDED), True),
        (op(LOCKED, Asked.UNSURE), True),
        (op(LOCKED), False),
        (op(UnitState.DRAINING, Asked.INTENDED), False),
        (op(LOCKED, Asked.INTENDED, astray_since=NOW), False),
        (op(PENDING, unit=MANAGER, kind=UnitKind.DEVICE), False),
    ],
)
def test_work_on_a_node_starts_when_its_lock_is_accepted(row: UnitOp, waits: bool) -> None:
    assert awaits_lock(row) is waits


def test_a_node_that_is_locked_anew_since_it_was_out_of_our_hands_is_in_work() -> None:
    row = op(LOCKED, Asked.INTENDED, astray_since=NOW, retries={LOCK: 1})
    assert isinstance(judged(row, NeverAsked()), Repeat)


@pytest.mark.parametrize(
    ("start", "end", "until", "meets"),
    [
        (-1, 1, 0, True),
        (0, 1, 0, True),
        (-1, 0, 0, False),  # half-open: it is over
        (1, 2, 0, False),
        (1, 2, 3, True),
        (3, 4, 3, False),
    ],
)
def test_a_freeze_is_met_now_or_before_the_node_is_back(start: int, end: int, until: int, meets: bool) -> None:
    freeze = replace(FREEZE, start=NOW + start * HOUR, end=NOW + end * HOUR)
    assert may_be_frozen(freeze, NOW, NOW + until * HOUR) is meets


@pytest.mark.parametrize(
    ("scope", "exempt", "found"),
    [
        (f"cluster {WINDOW.cluster}", (), True),
        ("node c0-n002", (), False),
        (f"cluster {WINDOW.cluster}", ("bmc", "gpu", "nic", "os"), False),
        (f"cluster {WINDOW.cluster}", ("bmc", "gpu", "nic"), True),
    ],
)
def test_exempt_work_passes_a_freeze_that_comes_late_as_any_other(
    scope: str, exempt: tuple[str, ...], found: bool
) -> None:
    level, name = scope.split()
    freeze = replace(FREEZE, scope=Scope(level=ScopeLevel(level), name=name))
    said = Said(actor="ann", at=NOW)
    exemption = Exemption(
        id=ExemptionId("exm-1"),
        freeze=freeze.id,
        updates=frozenset(map(UpdateId, exempt)),
        reason="a hole",
        asked=said,
        confirmed=replace(said, actor="bob"),
    )
    policy = small.policy()
    customer = replace(policy.customers[small.CUSTOMER], except_criticality=frozenset(Criticality))
    policy = replace(policy, customers={small.CUSTOMER: customer}, exemptions=(exemption,))
    node = FLEET.nodes[NodeId(NODE)]
    work = [CATALOGUE.updates[name] for name in map(UpdateId, ("bmc", "gpu", "nic", "os"))]
    assert (find_freeze(policy, [freeze], node, FLEET.clusters[node.cluster], work) is not None) is found


def test_what_a_node_runs_already_is_no_work_that_an_exemption_has_to_name() -> None:
    bmc = UpdateId("bmc")
    assert bmc in {update.id for update in work_left(op(PENDING), SCRIPT)}
    assert bmc not in {update.id for update in work_left(op(PENDING, active=SCRIPT.bits[bmc]), SCRIPT)}
