"""Runs a plan of tables, each as a process of its own, and keeps what they measured in a folder: a JSON file each, and
run.json, which says what became of every one. A table that fails, or takes longer than it may, ends no other.

    python benchmarks/bench.py                      # make bench: at 20,000 nodes, under 15 minutes on 2 quiet cores
    python benchmarks/bench.py --plan full          # make bench-full: 1,000 to 1,000,000 nodes, under 90 minutes
    python benchmarks/bench.py --plan long          # make bench-long: what takes longer than either
    python benchmarks/bench.py --only importing --out FOLDER      # again, among what FOLDER has

Ctrl-C ends it and keeps what is done. Exit code 1: some table lacks figures; 130: it was ended.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import STARTED_VARIABLE
from stores import KEPT_VARIABLE
from tables import PLANS, PROMISED, Table, allowed

HERE = Path(__file__).parent
SCHEMA = "fermata.benchmark-run/1"
GRACE_SECONDS = 20  # for a table that knows its budget to write what it has
DONE, PARTLY, FAILED, LATE, ENDED = "done", "partly", "failed", "late", "ended"
SAID = {
    DONE: "done",
    PARTLY: "done but for some cases",
    FAILED: "FAILED",
    LATE: "NOT DONE in its time",
    ENDED: "ended by you",
}
SOURCE_MAX = 2000  # characters of what a failed table said that are kept


class Kept:
    """The folder of a run. What it has of earlier calls stays, unless the same table is measured again."""

    def __init__(self, folder: Path, plan: str, patience: float, more: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._file, self._more = folder, folder / "run.json", more
        found = json.loads(self._file.read_text()) if self._file.exists() else {"tables": []}
        self._tables: dict[str, dict[str, Any]] = {told["name"]: told for told in found["tables"]}
        self._head = {
            "schema": SCHEMA,
            "plan": plan,
            "patience": patience,
            "started_at": found.get("started_at", _now()),
        }

    def path_of(self, table: Table) -> Path:
        """Where it writes its figures."""
        return self.folder / f"{table.name}.json"

    def add(self, table: Table, state: str, seconds: float, budget: int, said: str) -> None:
        """What became of it, on disk at once. `budget` in seconds; `said` by it to the error stream."""
        self._tables[table.name] = {
            "name": table.name,
            "script": table.script,
            "nodes": table.nodes,
            "command": " ".join([table.command, *self._more]),
            "state": state,
            "seconds": round(seconds, 1),
            "budget_seconds": budget,
            "said": said if state in (FAILED, LATE) else "",
            "has_figures": self.path_of(table).exists(),
        }
        told = self._head | {"ended_at": _now(), "tables": list(self._tables.values())}
        beside = self._file.with_suffix(".part")
        beside.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        beside.replace(self._file)


def main() -> None:
    """Does what the command line asks for."""
    asked = _read_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tables = [table for table in PLANS[asked.plan] if not asked.only or {table.script, table.name} & set(asked.only)]
    if not tables:
        raise SystemExit(f"no table of the plan is called {' or '.join(asked.only)}; they are {_names(asked.plan)}")
    kept = Kept(asked.out or _fresh_folder(), asked.plan, asked.patience, asked.more)
    most = sum(table.seconds for table in tables) * asked.patience
    print(f"{len(tables)} tables into {kept.folder}, {_minutes(most)} at most, load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="fermata-bench-kept-") as shared:
        os.environ[KEPT_VARIABLE] = shared
        _measure_all(asked, tables, kept, most)


def _measure_all(asked: argparse.Namespace, tables: Sequence[Table], kept: Kept, most: float) -> None:
    """Raises SystemExit when it was ended, or some table lacks figures."""
    spare, failed, began = 0.0, [], time.monotonic()
    for number, table in enumerate(tables, 1):
        left = most - (time.monotonic() - began)
        budget = allowed(table, spare, asked.patience)
        print(f"[{number}/{len(tables)}] {table.name}: {budget} s at most; {_minutes(left)} left of it all", flush=True)
        state, seconds = measure(table, kept, budget, asked.more)
        spare = budget - seconds
        print(f"[{number}/{len(tables)}] {table.name}: {SAID[state]} after {seconds:.0f} s\n", flush=True)
        if state == ENDED:
            print(f"Ended. What was measured until now is in {kept.folder}.")
            raise SystemExit(130)
        failed += [table.name] if state != DONE else []
    print(f"All tables took {_minutes(time.monotonic() - began)}. The figures are in {kept.folder}.")
    if failed:
        print(f"Without all figures: {', '.join(failed)}. {kept.folder}/run.json says why.")
        raise SystemExit(1)


def measure(table: Table, kept: Kept, budget: int, more: Sequence[str]) -> tuple[str, float]:
    """What became of the table, and how many seconds it took; notes both."""
    file = kept.path_of(table)
    file.unlink(missing_ok=True)
    given = ["--runs", str(table.runs), *table.arguments, "--json", str(file), "--budget", str(budget), *more]
    began = time.monotonic()
    said, is_over = "", False
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [sys.executable, str(HERE / f"{table.script}.py"), *given],
            stderr=errors,
            start_new_session=True,
            env=_environment(),
        ) as process,
    ):
        try:
            process.wait(budget + GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            is_over = True
        except KeyboardInterrupt:
            _end(process)
            kept.add(table, ENDED, time.monotonic() - began, budget, "")
            return ENDED, time.monotonic() - began
        _end(process)
        errors.seek(0)
        said = errors.read()
    sys.stderr.write(said)
    seconds = time.monotonic() - began
    state = LATE if is_over else _state_of(file, process.returncode)
    kept.add(table, state, seconds, budget, said[-SOURCE_MAX:].strip())
    return state, seconds


def _environment() -> dict[str, str]:
    """Ours, with when the table began; modules are compiled once, as those of an installed program are."""
    known = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return known | {STARTED_VARIABLE: str(time.monotonic())}


def _state_of(file: Path, code: int) -> str:
    if code == 0 and file.exists():
        return DONE
    return PARTLY if file.exists() and json.loads(file.read_text())["cases"] else FAILED


def _end(process: "subprocess.Popen[bytes]") -> None:
    """The table and whatever it started: servers and workers of it must not stay beside the next one."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", choices=sorted(PLANS), default="bench", help="which tables (default bench)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for the figures; else a new one of its own")
    parser.add_argument("--only", action="append", metavar="TABLE", help="this script or table; may be given again")
    parser.add_argument(
        "--patience", type=float, default=1.0, metavar="TIMES", help="as many times the seconds, on a busy machine"
    )
    parser.add_argument("--more", type=shlex.split, default=[], metavar="OPTIONS", help="for each script, as one word")
    parser.add_argument("--list", action="store_true", help="say what would be measured, and measure nothing")
    asked = parser.parse_args()
    if asked.list:
        for table in PLANS[asked.plan]:
            print(f"{table.name:26} {table.seconds:4} s  {table.command}")
        total = sum(table.seconds for table in PLANS[asked.plan])
        print(f"{_minutes(total)} at most, of {_minutes(PROMISED.get(asked.plan, total))} that were promised")
        raise SystemExit(0)
    return asked


def _names(plan: str) -> str:
    return ", ".join(sorted({table.script for table in PLANS[plan]}))


def _fresh_folder() -> Path:
    return Path(tempfile.gettempdir(), "fermata-bench", datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _minutes(seconds: float) -> str:
    return f"{max(0.0, seconds) / 60:.1f} min"


if __name__ == "__main__":
    main()
