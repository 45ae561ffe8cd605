"""Small campaigns with everything that can go wrong, each from one seed: no invariant is ever broken."""

import re
from pathlib import Path

import pytest
from tests.simulation import many, playing
from tests.simulation.invariants import INVARIANTS
from tests.simulation.mutations import MUTATIONS
from tests.simulation.playing import KINDS_OF_TROUBLE

SEEDS = 100
CHUNK = 5
PAGE = Path(__file__).parents[2] / "docs/simulator.md"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_seed_breaks_an_invariant(first: int) -> None:
    score = many.play_many(range(first, first + CHUNK), jobs=1)
    assert [many.tell_broken(outcome, "") for outcome in score.broken] == []
    assert score.seeds == CHUNK
    assert score.moves > 100 * CHUNK


def test_a_device_that_was_mended_is_not_written_again_without_a_word_of_who_serves_behind_it() -> None:
    """The customer declined while the device was with its repairers: found by this seed."""
    assert playing.play(347).broken is None


@pytest.mark.parametrize("seed", [389, 407, 546])
def test_what_a_device_runs_after_its_reset_or_repair_is_not_written_again(seed: int) -> None:
    """Nobody could read it after the reset; its last known good, and its target, after a repair."""
    assert playing.play(seed).broken is None


def test_equal_seeds_meet_equal_ends() -> None:
    first, second = playing.play(4), playing.play(4)
    assert first == second
    assert first.moves > 100


def test_breach_says_what_broke_and_how_to_see_it_again() -> None:
    mutation = next(m for m in MUTATIONS if m.invariant == "journal_complete")
    with mutation.plant():
        outcome = playing.play(0)
    told = many.tell_broken(outcome, "0123456789ab")
    assert "seed 0 breaks journal_complete\n" in told
    assert "again: make simulate SEEDS=1 FIRST_SEED=0 at commit 0123456789ab\n" in told
    assert len(outcome.last_lines) == playing.LAST_LINES
    assert all(line in told for line in outcome.last_lines)


def test_page_tells_every_fault_and_every_invariant() -> None:
    told = dict(re.findall(r"^\| `([^`]+)` \| (.+?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert {name: told.get(name) for name in (i.name for i in INVARIANTS)} == {i.name: i.sentence for i in INVARIANTS}
    assert [kind for kind in KINDS_OF_TROUBLE if not told.get(kind)] == []
    assert told.keys() == {i.name for i in INVARIANTS} | set(KINDS_OF_TROUBLE)


def test_every_invariant_has_a_bug_that_it_must_catch() -> None:
    assert {i.name for i in INVARIANTS} == {mutation.invariant for mutation in MUTATIONS}
