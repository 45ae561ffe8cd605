"""The benchmarks run and report on a tiny fleet. How fast they are is nobody's business here."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import URL

ROOT = Path(__file__).parents[1]
NODES = 8
CASES = {
    "importing": [
        f"{backend}: {case}"
        for backend in ("sqlite", "postgresql")
        for case in ("raw rows", "import", "again, unchanged", "again, 50 changed")
    ],
    "pending": ["plain loop: due", "find_pending", "plain loop: due, requests", "find_pending, build_requests"],
    "planning": ["list schedule", "plan", "three rules in a loop", "check"],
    "standing": [
        f"{updates} updates: {case}"
        for updates in (20, 40)
        for case in ("join the next due", "known in advance", "planned weekly")
    ],
    "replan": ["from scratch", "nothing", "lower cap", "longer", "missed"],
    "conducting": ["bare event queue", "sqlite: conduct"],
}
WHOLE_WORK: dict[str, dict[str, float]] = {  # figures of a fleet of NODES that are no times
    "importing": {
        "sqlite: import/nodes": NODES,
        "postgresql: import/nodes": NODES,
        "sqlite: again, unchanged/changed": 0,
        "postgresql: again, unchanged/changed": 0,
        "sqlite: again, 50 changed/changed": NODES,
        "postgresql: again, 50 changed/changed": NODES,
    },
    "pending": {"plain loop: due/due": 152, "find_pending/due": 152, "find_pending, build_requests/requests": 6},
    "planning": {"list schedule/nodes": NODES, "plan/nodes": NODES, "check/violations": 0},
    "standing": {f"{updates} updates: known in advance/faults": 0 for updates in (20, 40)},
    "replan": {"nothing/windows": 8, "nothing/same": 8},
    "conducting": {"bare event queue/nodes": NODES, "sqlite: conduct/nodes": NODES},
}
MACHINE = {"cpu", "cores", "memory_gib", "system", "python", "sqlite", "load_before"}


class Server(Protocol):
    """What is used of the fixture `postgres`."""

    admin: URL


@pytest.mark.slow
@pytest.mark.timeout(300)  # up to nine fresh interpreters, each of which imports everything
@pytest.mark.parametrize("name", CASES)
def test_benchmark_reports_every_case_beside_its_baseline(name: str, postgres: Server, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    table = run_benchmark(name, file, postgres)
    told = json.loads(file.read_text())
    assert told["schema"] == "fermata.benchmark/1"
    assert set(told["machine"]) >= MACHINE
    cases = {case["name"]: case for case in told["cases"]}
    assert list(cases) == CASES[name]
    for case in cases.values():
        assert_measured(case, cases)
        row = next(line for line in table if line.startswith(case["name"]))
        assert f"{case['seconds']['median']:.3f} s" in row
    figures = {f"{case['name']}/{figure}": value for case in told["cases"] for figure, value in case["figures"].items()}
    assert {name: figures[name] for name in WHOLE_WORK[name]} == WHOLE_WORK[name]


def assert_measured(case: dict[str, Any], cases: dict[str, Any]) -> None:
    seconds = case["seconds"]
    assert len(seconds["all"]) == 1
    assert 0 < seconds["min"] == seconds["median"] == seconds["max"]
    assert case["peak_mib"] > 0
    assert (case["baseline"] is None) == (case["ratio"] is None)
    assert case["baseline"] is None or case["baseline"] in cases


def run_benchmark(name: str, file: Path, postgres: Server) -> list[str]:
    """The lines that it prints."""
    server = postgres.admin.render_as_string(hide_password=False)
    source = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, ROOT / "benchmarks" / f"{name}.py", "--runs", "1", "--nodes", str(NODES), "--json", file]
    environment = {**os.environ, "FERMATA_TEST_POSTGRES": server, "PYTHONPATH": source}
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
