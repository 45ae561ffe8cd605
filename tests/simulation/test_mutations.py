"""Bugs planted in production code: the simulator finds each of them, and names the invariant it breaks."""

import pytest
from tests.simulation import playing
from tests.simulation.mutations import MUTATIONS, Mutation

SEEDS_MAX = 40


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name.replace(" ", "-"))
def test_planted_bug_is_caught(mutation: Mutation) -> None:
    with mutation.plant():
        found = next(
            (
                outcome
                for seed in dict.fromkeys((mutation.seed, *range(SEEDS_MAX)))
                if _names(outcome := playing.play(seed), mutation.invariant)
            ),
            None,
        )
    assert found is not None, f"{SEEDS_MAX} seeds did not find it"


def _names(outcome: playing.Outcome, invariant: str) -> bool:
    return outcome.broken is not None and outcome.broken[0] == invariant
