"""The copy of rows in memory answers what a look at every row would answer, whatever changed before."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.simulation.small import START
from tests.unit.domain.test_decide import reset_during

from fermata.domain.ids import WindowId
from fermata.domain.moving import moved
from fermata.domain.node_states import OUT, UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.execution.roster import Roster

TIMES = st.none() | st.integers(0, 3).map(lambda hours: START + timedelta(hours=hours))
WINDOWS = [WindowId("a"), WindowId("b")]
UNITS = 6
MOVES = st.lists(
    st.tuples(
        st.integers(0, UNITS - 1),
        st.sampled_from([UnitState.PENDING, UnitState.DRAINED, UnitState.APPLYING, UnitState.RETURNED]),
        TIMES,
        TIMES,
        TIMES,
    )
)


def row(number: int) -> UnitOp:
    kind = UnitKind.DEVICE if number % 3 == 2 else UnitKind.NODE
    return moved(reset_during("gpu", kind), id=number, unit=f"u{number}", window=WINDOWS[number % 2])


@given(MOVES)
def test_every_answer_is_that_of_a_look_at_all_rows(moves: list[tuple[int, UnitState, object, object, object]]) -> None:
    rows = {number: row(number) for number in range(UNITS)}
    roster = Roster(rows.values())
    for number, state, next_at, tail_since, finished_at in moves:
        changed = {"state": state, "next_at": next_at, "tail_since": tail_since, "finished_at": finished_at}
        rows[number] = moved(rows[number], **changed)
        roster.put([rows[number]])
    writes = Counter((op.window, op.step, op.fault_domain) for op in rows.values() if op.state is UnitState.APPLYING)
    busy = [((one.window, one.step, one.fault_domain), one.units) for one in roster.busy()]
    assert sorted(busy) == sorted(writes.items())  # and nobody who wrote once: it is gone through in every batch
    working = [op for op in rows.values() if op.finished_at is None]
    assert sorted(roster.working(), key=lambda op: op.id) == working
    out = [op for op in working if op.kind is UnitKind.NODE and op.state in OUT]
    assert sorted(roster.out(), key=lambda op: op.id) == out
    assert roster.is_anything_left() is any(op.next_at is not None for op in rows.values())
    for window in WINDOWS:
        members = [op for op in rows.values() if op.window == window]
        is_settled = all(op.finished_at is not None or op.tail_since is not None for op in members)
        assert roster.is_settled(window) is is_settled
        if all(op.finished_at is not None for op in members):
            assert roster.drop_finished(window)
            assert roster.is_settled(window)
            assert not roster.of_window(window)
