"""The machines as tables: drawn in the docs, without traps, and no other way to move."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest

from fermata.domain.node_states import (
    DEVICE_MOVES,
    EMPTY,
    FINAL,
    NODE_MOVES,
    OUT,
    RIDER_MOVES,
    IllegalMove,
    UnitEvent,
    UnitKind,
    UnitState,
    advance,
    diagram_page,
)
from fermata.domain.run_states import (
    RUN_MOVES,
    WINDOW_MOVES,
    IllegalRunMove,
    RunState,
    WindowState,
    advance_run,
    advance_window,
)

MOVES = {UnitKind.NODE: NODE_MOVES, UnitKind.DEVICE: DEVICE_MOVES, UnitKind.RIDER: RIDER_MOVES}
PAGE = Path(__file__).parents[3] / "docs" / "node-machine.md"


def test_page_in_the_docs_is_what_the_tables_say() -> None:
    assert PAGE.read_text() == diagram_page(), "write it anew: see the last line of docs/node-machine.md"


@pytest.mark.parametrize("kind", UnitKind)
def test_moves_outside_the_table_are_refused_with_a_reason(kind: UnitKind) -> None:
    for state, event in product(UnitState, UnitEvent):
        if (state, event) in MOVES[kind]:
            assert advance(kind, state, event) is MOVES[kind][state, event]
        else:
            with pytest.raises(IllegalMove, match=f"a {kind} that is {state} cannot {event}"):
                advance(kind, state, event)


@pytest.mark.parametrize("kind", UnitKind)
def test_no_state_is_a_trap_or_out_of_reach(kind: UnitKind) -> None:
    moves = MOVES[kind]
    ends = FINAL | ({UnitState.PROVEN} if kind is not UnitKind.NODE else set())
    used = {before for before, _ in moves} | set(moves.values())
    for state in used:
        assert _reachable(moves, state) & ends, f"{state} never ends"
    assert _reachable(moves, UnitState.PENDING) == used


def _reachable(moves: Mapping[tuple[UnitState, UnitEvent], UnitState], start: UnitState) -> set[UnitState]:
    found, queue = {start}, [start]
    while queue:
        state = queue.pop()
        for (before, _), after in moves.items():
            if before is state and after not in found:
                found.add(after)
                queue.append(after)
    return found


def test_only_proven_nodes_go_back() -> None:
    assert [before for (before, _), after in NODE_MOVES.items() if after is UnitState.RETURNED] == [UnitState.PROVEN]
    proofs = {event: set() for (_, event), after in NODE_MOVES.items() if after is UnitState.PROVEN}
    for (before, event), after in NODE_MOVES.items():
        if after is UnitState.PROVEN:
            proofs[event].add(before)
    untouched = {UnitState.LOCKED, UnitState.DRAINING, UnitState.DRAINED}
    assert proofs == {UnitEvent.PROVE: {UnitState.VERIFYING}, UnitEvent.UNCHANGED: untouched}


def test_writing_and_rebooting_begin_on_empty_nodes_only() -> None:
    for before, event in NODE_MOVES:
        if event in (UnitEvent.APPLY, UnitEvent.REBOOT, UnitEvent.VERIFY):
            assert before in EMPTY
    assert EMPTY < OUT


@pytest.mark.parametrize(("before", "after"), list(product(WindowState, WindowState)))
def test_windows_move_by_their_table_only(before: WindowState, after: WindowState) -> None:
    if after in WINDOW_MOVES[before]:
        assert advance_window(before, after) is after
    else:
        with pytest.raises(IllegalRunMove):
            advance_window(before, after)


@pytest.mark.parametrize(("before", "after"), list(product(RunState, RunState)))
def test_runs_move_by_their_table_only(before: RunState, after: RunState) -> None:
    if after in RUN_MOVES[before]:
        assert advance_run(before, after) is after
    else:
        with pytest.raises(IllegalRunMove):
            advance_run(before, after)


@pytest.mark.parametrize("state", [UnitState.DRAINING, UnitState.DRAINED, UnitState.PROVEN, UnitState.FAILED])
def test_node_that_was_out_of_our_hands_is_locked_anew_and_then_drained_anew(state: UnitState) -> None:
    """From whatever state its step ends in; nothing leads from the lock past the drain but another lock, and the end of
    a node that was left out or, after an abort, is unchanged.
    """
    locked = advance(UnitKind.NODE, state, UnitEvent.LOCK)
    assert locked is UnitState.LOCKED
    assert {event: after for (before, event), after in NODE_MOVES.items() if before is locked} == {
        UnitEvent.DRAIN: UnitState.DRAINING,
        UnitEvent.LOCK: UnitState.LOCKED,
        UnitEvent.LEAVE_OUT: UnitState.LEFT_OUT,
        UnitEvent.UNCHANGED: UnitState.PROVEN,
    }
