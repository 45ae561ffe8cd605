"""A node that waits for several devices is not looked at for each that ends: only once what its row says is over."""

from collections.abc import Mapping
from dataclasses import replace

from tests.unit.domain.test_decide import FACTS, NODE, SCRIPT, WINDOW

from fermata.domain.decide_begin import begin_node, waits_as_before
from fermata.domain.decisions import Park, carry_out
from fermata.domain.ids import DeviceId, RunId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Gate, UnitOp

FIRST, LAST = SCRIPT.nodes[NODE].devices[0], DeviceId("another")
TWO = replace(
    SCRIPT,
    nodes={**SCRIPT.nodes, NODE: replace(SCRIPT.nodes[NODE], devices=(FIRST, LAST))},
    devices={**SCRIPT.devices, LAST: replace(SCRIPT.devices[FIRST], device=LAST)},
    ties=frozenset({(SCRIPT.devices[FIRST].step, index) for index in SCRIPT.nodes[NODE].steps}),
)
DRAINED = UnitOp(
    id=1,
    run=RunId("run_1"),
    window=WINDOW.id,
    unit=NODE,
    kind=UnitKind.NODE,
    cluster=WINDOW.cluster,
    fault_domain="0",
    rank=0,
    in_service_before=True,
    state=UnitState.DRAINED,
)


def parked(unproven: Mapping[DeviceId, UnitState]) -> UnitOp:
    """The node once it was found that it may not go on."""
    facts = replace(FACTS, script=TWO, unproven=unproven)
    decision = begin_node(DRAINED, facts)
    assert isinstance(decision, Park)
    return carry_out(DRAINED, decision, FACTS.now)


BOTH = {FIRST: UnitState.APPLYING, LAST: UnitState.PENDING}
WAITING = parked(BOTH)


def test_what_is_named_is_what_comes_last() -> None:
    assert WAITING.gate is Gate.DEVICE
    assert WAITING.reason is not None
    assert LAST in WAITING.reason.sentence


def test_one_that_ends_before_what_is_named_changes_nothing() -> None:
    assert waits_as_before(WAITING, replace(FACTS, script=TWO, unproven={LAST: UnitState.PENDING}))


def test_what_is_named_stays_named_while_it_is_true() -> None:
    first = parked({FIRST: UnitState.APPLYING})
    assert waits_as_before(first, replace(FACTS, script=TWO, unproven=BOTH))


def test_a_node_is_looked_at_when_it_may_go_on_or_waits_for_something_else() -> None:
    assert not waits_as_before(WAITING, replace(FACTS, script=TWO, unproven={}))
    assert not waits_as_before(WAITING, replace(FACTS, script=TWO, unproven={FIRST: UnitState.APPLYING}))
    failed = {**BOTH, LAST: UnitState.FAILED}
    assert not waits_as_before(WAITING, replace(FACTS, script=TWO, unproven=failed))
