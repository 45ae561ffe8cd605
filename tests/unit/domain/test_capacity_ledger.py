"""The ledger's arithmetic: what is enough, since when, and sums that balance whatever happened."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fermata.domain.capacity_ledger import (
    Account,
    Entry,
    EntryKind,
    GroupBy,
    add_up,
    list_open,
    nodes_needed,
    sum_up,
    total_of,
    when_ready,
)
from fermata.domain.ids import ClusterId, CustomerId, NodeId, RunId, SupercomputerId, WindowId

T0 = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CLOSING = [kind for kind in EntryKind if kind is not EntryKind.TAKEN]
FATES = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 30)), st.tuples(st.booleans(), st.sampled_from([None, *CLOSING]))
)


def account(window: int, **more: object) -> Account:
    fields: dict[str, object] = {
        "run": RunId("run_1"),
        "window": WindowId(f"w{window}"),
        "cluster": ClusterId(f"c{window}"),
        "customer": CustomerId(f"customer-{window % 2}"),
        "supercomputer": SupercomputerId(f"sc-{window % 3}"),
        "sku": "H100",
        "region": "westus",
        "opened_at": T0,
        "baseline": (NodeId(f"n{window}"), NodeId("shared")),
        "capacity_taken": 10,
        "threshold": 0.95,
    }
    return Account(**(fields | more))  # type: ignore[arg-type]


def entries(fates: dict[tuple[int, int], tuple[bool, EntryKind | None]]) -> list[Entry]:
    return [
        Entry(
            run=RunId("run_1"),
            window=WindowId(f"w{window}"),
            node=NodeId(f"n{node}"),
            kind=kind,
            in_service_before=served,
            at=T0,
        )
        for (window, node), (served, closing) in fates.items()
        for kind in (EntryKind.TAKEN, closing)
        if kind is not None
    ]


@given(FATES)
def test_every_line_balances_and_the_total_is_the_sum_of_lines(
    fates: dict[tuple[int, int], tuple[bool, EntryKind | None]],
) -> None:
    lines = entries(fates)
    accounts = [account(window) for window in range(4)]
    total = total_of(accounts, sum_up(lines))
    assert total.owed == len(list_open(lines)) == sum(closing is None for _, closing in fates.values())
    assert total.capacity_owed == sum(served and closing is None for served, closing in fates.values())
    for by in GroupBy:
        groups = add_up(accounts, sum_up(lines), by)
        assert all(line.taken == line.closed + line.owed for line in groups)
        assert sum(line.taken for line in groups) == total.taken == len(fates)
        assert sum(line.owed for line in groups) == total.owed


@pytest.mark.parametrize(
    ("taken", "threshold", "needed"), [(20, 0.95, 19), (40, 0.95, 38), (1, 0.95, 1), (0, 0.95, 0), (100, 1.0, 100)]
)
def test_what_is_needed_is_rounded_up_and_not_by_floating_point(taken: int, threshold: float, needed: int) -> None:
    assert nodes_needed(taken, threshold) == needed


@given(taken=st.integers(1, 60), threshold=st.floats(0.5, 1.0), back=st.lists(st.integers(0, 500), max_size=60))
def test_ready_is_when_the_last_needed_node_came_back_and_never_before(
    taken: int, threshold: float, back: list[int]
) -> None:
    times = [T0 + minutes * MINUTE for minutes in back]
    ready = when_ready(taken, threshold, times)
    needed = nodes_needed(taken, threshold)
    assert (ready is None) == (len(times) < needed)
    assert ready is None or sum(at <= ready for at in times) >= needed
    assert ready is None or sum(at < ready for at in times) < needed


def test_nothing_taken_in_service_is_never_ready() -> None:
    assert when_ready(0, 0.95, ()) is None


def test_all_are_ready_when_the_last_window_is() -> None:
    told = [account(0, ready_at=T0 + 5 * MINUTE), account(2, ready_at=T0 + 9 * MINUTE), account(4, capacity_taken=0)]
    (line,) = add_up(told, (), GroupBy.CUSTOMER)
    assert (line.windows, line.windows_ready, line.ready_at) == (2, 2, T0 + 9 * MINUTE)
    assert line.baseline == len({"n0", "n2", "n4", "shared"})
    (waiting,) = add_up([*told, account(6)], (), GroupBy.CUSTOMER)
    assert (waiting.windows, waiting.windows_ready, waiting.ready_at) == (3, 2, None)
