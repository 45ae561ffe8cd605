"""Many seeds on several cores, and what there is to say of them."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

from tests.simulation.playing import KINDS_OF_TROUBLE, Outcome, play

AHEAD = 4  # seeds a core has in hand, so that it never waits and an end comes soon


@dataclass(kw_only=True)
class Score:
    """What came of the seeds so far."""

    seeds: int = 0
    ticks: int = 0
    moves: int = 0
    windows: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    broken: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.ticks += outcome.ticks
        self.moves += outcome.moves
        self.windows += outcome.windows
        self.happened += outcome.happened
        if outcome.broken is not None:
            self.broken.append(outcome)


def play_many(
    seeds: Sequence[int], *, jobs: int, seconds: float | None = None, tell: Callable[[Score], None] = lambda _: None
) -> Score:
    """All of them, or those for which there is time. `tell` hears of each."""
    score, began = Score(), time.monotonic()
    for outcome in _outcomes(seeds, jobs, lambda: seconds is not None and time.monotonic() - began > seconds):
        score.add(outcome)
        tell(score)
    score.broken.sort(key=lambda outcome: outcome.seed)
    return score


def _outcomes(seeds: Sequence[int], jobs: int, is_late: Callable[[], bool]) -> Iterator[Outcome]:
    if jobs == 1:
        for seed in seeds:
            if is_late():
                return
            yield play(seed)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=jobs, mp_context=context) as pool:
        left = iter(seeds)
        at_work = {pool.submit(play, seed) for seed in islice(left, jobs * AHEAD)}
        while at_work:
            done, at_work = wait(at_work, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
                following = None if is_late() else next(left, None)
                if following is not None:
                    at_work.add(pool.submit(play, following))


def tell_broken(outcome: Outcome, commit: str) -> str:
    """How to see it again, what broke, and the journal's last lines."""
    assert outcome.broken is not None
    name, what = outcome.broken
    at = f" at commit {commit}" if commit else ""
    lines = "\n".join(f"    {line}" for line in outcome.last_lines)
    return (
        f"seed {outcome.seed} breaks {name}\n  {what}\n  again: make simulate SEEDS=1 FIRST_SEED={outcome.seed}{at}\n"
        f"  the journal's last lines:\n{lines}\n"
    )


def tell_score(score: Score, seconds: float) -> str:
    """The table of what happened, and figures."""
    names = sorted({*KINDS_OF_TROUBLE, *score.happened})
    width = max(len(name) for name in names)
    rows = [f"  {name:<{width}}  {score.happened[name]:>8,}" for name in names]
    never = [name for name in KINDS_OF_TROUBLE if not score.happened[name]]
    speed = score.seeds / max(seconds, 1e-9)
    tail = [f"never happened: {', '.join(never)}"] if never else []
    return "\n".join(
        [
            "what went wrong, and how often:",
            *rows,
            *tail,
            f"{score.seeds:,} seeds, {score.windows:,} windows, {score.ticks:,} instants, {score.moves:,} row changes",
            f"{seconds:,.1f} s, {speed:.2f} seeds a second",
            f"seeds that break an invariant: {len(score.broken)}",
        ]
    )
