"""How many nodes write an update at once: the bound while all goes well, fewer as it fails, never none."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulation import small
from tests.unit.domain.test_decide import CATALOGUE, SCRIPT, reset_during

from fermata.domain.batch_size import PAYS, Tried, TryBook, count_tries
from fermata.domain.ids import UpdateId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Busy, UnitOp
from fermata.domain.tally import Tally
from fermata.domain.updates import Isolation, IsolationBy

COUNTS = st.integers(min_value=0, max_value=5_000)
BOUNDS = st.integers(min_value=1, max_value=5_000)
GPU = CATALOGUE.updates[UpdateId("gpu")]
UNTOUCHED = replace(reset_during("gpu", UnitKind.NODE), state=UnitState.DRAINED, step="")


@given(bound=BOUNDS, failed=COUNTS, succeeded=COUNTS)
def test_the_bound_is_never_exceeded_and_one_node_may_always_try(bound: int, failed: int, succeeded: int) -> None:
    assert 1 <= Tried(bound=bound, failed=failed, succeeded=succeeded).at_once <= bound


@given(bound=BOUNDS, succeeded=COUNTS)
def test_without_a_failure_all_that_the_bound_allows_go(bound: int, succeeded: int) -> None:
    assert Tried(bound=bound, failed=0, succeeded=succeeded).at_once == bound


@given(bound=BOUNDS, failed=COUNTS, succeeded=COUNTS)
def test_failures_never_speed_up_and_successes_never_slow_down(bound: int, failed: int, succeeded: int) -> None:
    found = Tried(bound=bound, failed=failed, succeeded=succeeded).at_once
    assert Tried(bound=bound, failed=failed + 1, succeeded=succeeded).at_once <= found
    assert Tried(bound=bound, failed=failed, succeeded=succeeded + 1).at_once >= found


@pytest.mark.parametrize(
    ("failed", "succeeded", "at_once"),
    [
        (1, 0, 500),
        (2, 0, 250),
        (3, 0, 125),
        (10, 0, 1),
        (1, PAYS, 1000),
        (2, PAYS, 500),
        (2, PAYS // 2, 353),
        (50, 50 * PAYS, 1000),
    ],
)
def test_each_failure_halves_and_each_handful_of_successes_doubles(failed: int, succeeded: int, at_once: int) -> None:
    assert Tried(bound=1000, failed=failed, succeeded=succeeded).at_once == at_once


@pytest.mark.parametrize(
    ("isolation", "team_limit", "bound"),
    [
        (Isolation(), 1000, 8),
        (Isolation(by=IsolationBy.PERCENT, at_once=50), 1000, 4),
        (Isolation(by=IsolationBy.PERCENT, at_once=1), 1000, 1),
        (Isolation(by=IsolationBy.FAULT_DOMAIN, at_once=1), 1000, 2),
        (Isolation(by=IsolationBy.FAULT_DOMAIN, at_once=3), 1000, 6),
        (Isolation(), 3, 3),
    ],
)
def test_the_bound_is_what_isolation_and_team_allow(isolation: Isolation, team_limit: int, bound: int) -> None:
    updates = small.catalogue(team_limit)
    assert count_tries(SCRIPT, replace(GPU, isolation=isolation), standing_all().get, updates).bound == bound


def standing_all(**changed: UnitOp) -> dict[str, UnitOp]:
    ops = {name: replace(UNTOUCHED, unit=name, fault_domain=str(i % 4)) for i, name in enumerate(SCRIPT.nodes)}
    return ops | changed


def test_tries_are_counted_from_rows() -> None:
    bit = SCRIPT.bits[GPU.id]
    names = list(SCRIPT.nodes)
    found = standing_all(
        **{
            names[0]: replace(UNTOUCHED, unit=names[0], retries={"apply:gpu": 2}, applied=bit),
            names[1]: replace(UNTOUCHED, unit=names[1], state=UnitState.FAILED, step="reset:apply:gpu"),
            names[2]: replace(UNTOUCHED, unit=names[2], active=bit, versions_before={"gpu_fw": "1.0"}),
            names[3]: replace(UNTOUCHED, unit=names[3], active=bit, applied=bit, versions_before={"gpu_fw": "2.0"}),
            names[4]: replace(UNTOUCHED, unit=names[4], retries={"apply:nic": 9}),
        }
    )
    tried = count_tries(SCRIPT, GPU, found.get, CATALOGUE)
    assert (tried.failed, tried.succeeded) == (3, 2)


@pytest.mark.parametrize(("writing", "failed", "waits"), [(3, 1, False), (4, 1, True), (4, 0, False), (1, 9, True)])
def test_who_would_be_too_many_waits(writing: int, failed: int, *, waits: bool) -> None:
    window = SCRIPT.window.id
    tally = Tally(CATALOGUE, [Busy(window=window, step="apply:gpu", fault_domain="0", units=writing)])
    found = tally.is_too_fast(GPU, window, lambda: Tried(bound=8, failed=failed, succeeded=0))
    assert (found is not None) is waits


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from([UnitState.APPLYING, UnitState.FAILED, UnitState.DRAINED, UnitState.LEFT_OUT]),
        "step": st.sampled_from(["apply:gpu", "reset:apply:gpu", "apply:nic", "verify"]),
        "applied": st.integers(0, 7),
        "active": st.integers(0, 7),
        "retries": st.dictionaries(st.sampled_from(["apply:gpu", "apply:nic"]), st.integers(0, 3)),
        "versions_before": st.none() | st.fixed_dictionaries({"gpu_fw": st.sampled_from(["1.0", "2.0"])}),
    },
)


@given(st.lists(st.tuples(st.integers(0, 15), CHANGES)), st.sets(st.integers(0, 30)))
def test_a_book_that_follows_rows_counts_what_is_counted_from_rows(
    moves: list[tuple[int, dict[str, object]]], asked_after: set[int]
) -> None:
    book, found = TryBook(), standing_all()
    names = list(SCRIPT.nodes)
    for turn, (at, changes) in enumerate(moves):
        name = names[at % len(names)]
        before, after = found[name], replace(found[name], **changes)
        found[name] = after
        book.note(before, after)
        if turn in asked_after:
            told = book.count(SCRIPT, GPU, found.get, CATALOGUE)
            assert told == count_tries(SCRIPT, GPU, found.get, CATALOGUE)
    assert book.count(SCRIPT, GPU, found.get, CATALOGUE) == count_tries(SCRIPT, GPU, found.get, CATALOGUE)
