"""What becomes of work that arrives for a node of which another request asks: every cell of the table."""

from pathlib import Path

import pytest

from fermata.domain.combining import OUTCOMES, PHASES, Claim, Outcome, Phase, combine, outcomes_table, why_held
from fermata.domain.reasons import Code
from fermata.domain.request_kinds import SEQUENCE, RequestKind
from fermata.domain.request_states import RequestState

PAGE = Path(__file__).parents[3] / "docs" / "requests.md"

# arriving, standing: what becomes of it when the latter is asked, approved, scheduled, in progress, ended
TABLE = """
deployment    deployment    merge    merge    merge    wait    own
deployment    repair        join     join     join     wait    own
deployment    hardware      join     join     join     wait    own
deployment    decommission  own      refuse   refuse   refuse  own
deployment    move          join     join     join     wait    own
repair        deployment    join     join     join     join    own
repair        repair        merge    merge    merge    wait    own
repair        hardware      join     join     join     wait    own
repair        decommission  own      refuse   refuse   refuse  own
repair        move          join     join     join     wait    own
hardware      deployment    join     join     join     join    own
hardware      repair        join     join     join     wait    own
hardware      hardware      merge    merge    merge    wait    own
hardware      decommission  own      refuse   refuse   refuse  own
hardware      move          join     join     join     wait    own
decommission  deployment    replace  replace  replace  wait    own
decommission  repair        replace  replace  replace  wait    own
decommission  hardware      replace  replace  replace  wait    own
decommission  decommission  merge    merge    merge    wait    own
decommission  move          replace  replace  replace  wait    own
move          deployment    join     join     join     wait    own
move          repair        join     join     join     wait    own
move          hardware      join     join     join     wait    own
move          decommission  own      refuse   refuse   refuse  own
move          move          merge    merge    merge    wait    own
"""
CELLS = {
    (RequestKind(arriving), RequestKind(standing), phase): Outcome(outcome)
    for arriving, standing, *outcomes in map(str.split, TABLE.strip().splitlines())
    for phase, outcome in zip(Phase, outcomes, strict=True)
}
STATES = {
    RequestState.PENDING: Phase.ASKED,
    RequestState.NOTIFIED: Phase.ASKED,
    RequestState.PARTLY_APPROVED: Phase.ASKED,
    RequestState.DECLINED: Phase.ASKED,
    RequestState.OVERDUE: Phase.ASKED,
    RequestState.APPROVED: Phase.APPROVED,
    RequestState.SCHEDULED: Phase.SCHEDULED,
    RequestState.IN_PROGRESS: Phase.IN_PROGRESS,
    RequestState.COMPLETED: Phase.ENDED,
    RequestState.SUPERSEDED: Phase.ENDED,
    RequestState.CANCELLED: Phase.ENDED,
}


def test_the_table_has_these_cells_and_no_others() -> None:
    assert dict(OUTCOMES) == CELLS
    assert len(CELLS) == len(RequestKind) ** 2 * len(Phase)


@pytest.mark.parametrize("state", RequestState)
def test_every_state_of_a_request_has_its_column(state: RequestState) -> None:
    assert PHASES[state] is STATES[state]
    for arriving in RequestKind:
        for standing in RequestKind:
            assert combine(arriving, standing, state) is CELLS[arriving, standing, STATES[state]]


def test_page_in_the_docs_has_the_table() -> None:
    assert outcomes_table() in PAGE.read_text()


def test_only_work_on_parts_joins_what_runs_and_only_a_window_of_updates() -> None:
    running = {cell[:2]: outcome for cell, outcome in OUTCOMES.items() if cell[2] is Phase.IN_PROGRESS}
    assert set(running.values()) == {Outcome.WAIT, Outcome.REFUSE, Outcome.JOIN}
    joined = {cell for cell, outcome in running.items() if outcome is Outcome.JOIN}
    updates = RequestKind.DEPLOYMENT
    assert joined == {(RequestKind.REPAIR, updates), (RequestKind.HARDWARE, updates)}


def test_work_on_parts_comes_before_work_on_firmware() -> None:
    before = SEQUENCE[: SEQUENCE.index(RequestKind.DEPLOYMENT)]
    assert set(before) == {RequestKind.REPAIR, RequestKind.HARDWARE, RequestKind.MOVE}
    assert SEQUENCE[-1] is RequestKind.DECOMMISSION
    assert set(SEQUENCE) == set(RequestKind)


HELD = [
    (RequestKind.REPAIR, RequestState.PENDING, None),
    (RequestKind.REPAIR, RequestState.OVERDUE, None),
    (RequestKind.REPAIR, RequestState.APPROVED, None),
    (RequestKind.HARDWARE, RequestState.SCHEDULED, None),
    (RequestKind.REPAIR, RequestState.IN_PROGRESS, Code.HELD_BY_ORDER),
    (RequestKind.MOVE, RequestState.APPROVED, Code.ORDER_FIRST),
    (RequestKind.MOVE, RequestState.IN_PROGRESS, Code.HELD_BY_ORDER),
    (RequestKind.DECOMMISSION, RequestState.NOTIFIED, None),
    (RequestKind.DECOMMISSION, RequestState.APPROVED, Code.LEAVES_BY_ORDER),
    (RequestKind.DECOMMISSION, RequestState.IN_PROGRESS, Code.LEAVES_BY_ORDER),
    (RequestKind.REPAIR, RequestState.COMPLETED, None),
]


@pytest.mark.parametrize(("kind", "state", "code"), HELD)
def test_updates_leave_a_node_to_an_order_that_no_window_can_take_in(
    kind: RequestKind, state: RequestState, code: Code | None
) -> None:
    held = why_held("n1", RequestKind.DEPLOYMENT, [Claim(name="wo_1", kind=kind, state=state)])
    assert (held.code if held else None) is code
    assert held is None or "wo_1" in held.sentence


def test_one_order_waits_for_another_only_while_that_runs() -> None:
    for state, code in ((RequestState.APPROVED, None), (RequestState.IN_PROGRESS, Code.HELD_BY_ORDER)):
        held = why_held("n1", RequestKind.REPAIR, [Claim(name="wo_1", kind=RequestKind.MOVE, state=state)])
        assert (held.code if held else None) is code


def test_any_of_many_claims_holds_a_node() -> None:
    claims = [
        Claim(name="wo_1", kind=RequestKind.REPAIR, state=RequestState.PENDING),
        Claim(name="wo_2", kind=RequestKind.MOVE, state=RequestState.APPROVED),
    ]
    held = why_held("n1", RequestKind.DEPLOYMENT, claims)
    assert held is not None
    assert "wo_2" in held.sentence
