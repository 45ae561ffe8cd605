"""Simulates seeds: `make simulate SEEDS=1000 FIRST_SEED=1`. Ends with exit code 1 when an invariant does not hold."""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.simulation.many import Score, play_many, tell_broken, tell_score  # noqa: E402 - found only now


def main() -> int:
    """Reads what is asked for, plays, tells."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--seconds", type=float, help="begin no further seed after so long")
    asked = parser.parse_args()
    if asked.seeds < 1 or asked.jobs < 1 or asked.first_seed < 0:
        parser.error("--seeds and --jobs must be at least 1, --first-seed at least 0")
    began, is_watched = time.monotonic(), sys.stderr.isatty()

    def tell(score: Score) -> None:
        if is_watched:
            line = f"\r{score.seeds:,} of {asked.seeds:,} seeds, {len(score.broken)} broken"
            print(line, end="", file=sys.stderr, flush=True)

    score = play_many(
        range(asked.first_seed, asked.first_seed + asked.seeds), jobs=asked.jobs, seconds=asked.seconds, tell=tell
    )
    if is_watched:
        print(file=sys.stderr)
    commit = find_commit()
    for outcome in score.broken:
        print(tell_broken(outcome, commit))
    print(tell_score(score, time.monotonic() - began))
    return 1 if score.broken else 0


def find_commit() -> str:
    """The commit that is checked out, "" outside of a repository; `-dirty` when files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
