"""Has Schemathesis ask every operation of the API as callers of every kind: `make fuzz-api SECONDS=1800`.

Each has a server and a store of its own on loopback, and an equal share of the time. Answers are held to the
description, and to what the caller may know and do.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.fuzz.api_callers import list_callers  # noqa: E402 - the tests are beside us, not installed
from tests.fuzz.api_run import ask_all, build_world  # noqa: E402

PHASES = "coverage,fuzzing,stateful"


def main() -> int:
    """0 when nothing was found."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=1800.0, help="of all callers together")
    options.add_argument("--only", default="", help="callers whose names hold this")
    options.add_argument("--finds", type=Path, default=Path("fuzz-finds"), help="folder for what was found")
    asked = options.parse_args()
    callers = [caller for key, caller in list_callers().items() if asked.only in key]
    if not callers:
        options.error(f"no caller has {asked.only!r} in its name")
    asked.finds.mkdir(parents=True, exist_ok=True)
    worst, each = 0, max(1, int(asked.seconds / len(callers)))
    with tempfile.TemporaryDirectory(prefix="fermata-fuzz-api-") as folder:
        store = build_world(Path(folder))
        for caller in callers:
            words = ["--phases", PHASES, "--max-time", str(each)]
            began = time.monotonic()
            ran = ask_all(caller, store, Path(folder, caller.key), words, seconds=each)
            told = ", ".join(f"{count:,} x {status}" for status, count in ran.statuses.items())
            print(
                f"{caller.key:32} {time.monotonic() - began:5.0f} s, {ran.requests:,} requests ({told}),"
                f" {len(ran.done)} operations done, {'FOUND' if ran.faults else '0 broken'}",
                flush=True,
            )
            if ran.faults:
                worst = 1
                (asked.finds / f"api-{caller.key}.txt").write_text("\n".join(ran.faults) + "\n")
    return worst


if __name__ == "__main__":
    sys.exit(main())
