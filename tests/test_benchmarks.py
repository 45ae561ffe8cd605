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
        for case in ("raw rows", "import", "again, unchanged", "again, 50 changed", "again, 0.5 % changed")
    ],
    "pending": [
        "plain loop: due",
        "find_pending",
        "plain loop: due, requests",
        "find_pending, build_requests",
        "store: all anew",
        "store: one node changed",
        "store: one of the largest",
    ],
    "approving": ["raw rows", "approve each", "withdraw each", "with conditions", "over HTTP"],
    "planning": ["list schedule", "plan", "three rules in a loop", "check"],
    "standing": [
        f"{updates} updates: {case}"
        for updates in (20, 40)
        for case in ("join the next due", "known in advance", "planned weekly")
    ],
    "replan": ["from scratch", "nothing", "lower cap", "longer", "missed"],
    "sequencing": [
        "one after the other",
        "lay out",
        "days as searched",
        "fullest day together",
        "every day together",
    ],
    "risk": ["summed percentiles", "plain loop, 5 runs", "simulate, 1000 runs"],
    "campaigns": ["list schedule", "a cluster a day", "HiGHS, same model", "plan"],
    "varied": ["January"],
    "conducting": ["bare event queue", "sqlite: conduct"],
    "simulating": ["conducted", "conducted and watched"],
    "deciding": ["rows copied", "rows decided"],
    "transitions": [
        "sqlite: raw, in one process",
        "sqlite: embedded, in one process",
        "postgresql: raw, in one process",
        "postgresql: embedded, in one process",
        "postgresql: raw, 2 workers",
        "postgresql: embedded, 2 workers",
        "postgresql: temporal, 2 workers",
    ],
    "auditing": ["bare rows", "append", "read", "verify"],
    "rolling": ["naive, 5% out", "naive, 25% out", "conductor"],
    "starting": [
        "empty store: serving",
        "first start: serving",
        "restart: serving",
        "all asked: memory",
        "worker: memory",
    ],
    "viewing": ["the same bytes", "viewers"],
    "gating": ["twice the usual share", "gates", "stricter gates"],
    "controllers": ["bare GETs", "look", "update"],
    "doors": ["the same bytes", "scheduled events", "first look", "look after an approval", "acknowledge 1,000"],
    "hostile": ["people beside hostile callers"],
    "wall": [
        "picture of the doors",
        *(f"{what} by {shade}" for what in ("page", "cells") for shade in ("state", "pending", "consent", "version")),
    ],
    "querying": [
        "plain loop over JSON",
        "load",
        "count rows",
        "count updates",
        "unfold and count",
        "unfold, by status",
    ],
}
ARGUMENTS = {
    "transitions": ["--workers", "2"],
    "gating": ["--campaigns", "4"],
    "hostile": ["--seconds", "5", "--slice", "5"],
    "viewing": ["--viewers", "4", "--seconds", "3"],
}  # of benchmarks with options of their own
WHOLE_WORK: dict[str, dict[str, float]] = {  # figures of a fleet of NODES that are no times
    "auditing": {f"{case}/lines": NODES for case in ("bare rows", "append", "read", "verify")},
    "importing": {
        "sqlite: import/nodes": NODES,
        "postgresql: import/nodes": NODES,
        "sqlite: again, unchanged/changed": 0,
        "postgresql: again, unchanged/changed": 0,
        "sqlite: again, 50 changed/changed": NODES,
        "postgresql: again, 50 changed/changed": NODES,
        "sqlite: again, 0.5 % changed/changed": 1,
        "postgresql: again, 0.5 % changed/changed": 1,
    },
    "pending": {
        "plain loop: due/due": 152,
        "find_pending/due": 152,
        "find_pending, build_requests/requests": 6,
        "store: all anew/nodes": NODES,
    },
    "approving": {
        "raw rows/rows": 2 * NODES,
        "approve each/recorded": NODES,
        "withdraw each/recorded": NODES,
        "with conditions/recorded": NODES,
        "over HTTP/recorded": NODES,
    },
    "planning": {"list schedule/nodes": NODES, "plan/nodes": NODES, "check/violations": 0},
    "standing": {f"{updates} updates: known in advance/faults": 0 for updates in (20, 40)},
    "replan": {"nothing/windows": 8, "nothing/same": 8},
    "sequencing": {"lay out/windows": NODES, "lay out/minutes": 1567, "every day together/days": 1},
    "risk": {"simulate, 1000 runs/exceeded": 0},
    "campaigns": {"list schedule/nodes": NODES, "a cluster a day/nodes": NODES, "HiGHS, same model/nodes": NODES},
    "controllers": {"look/nodes": NODES, "update/updates": 2 * NODES},
    "doors": {"first look/nodes": NODES, "scheduled events/answered": 20 * NODES},
    "wall": {"page by consent/nodes": NODES, "cells by state/cells": NODES, "cells by consent/cells": NODES},
    "hostile": {"people beside hostile callers/alone_refused": 0},
    "gating": {"twice the usual share/campaigns": 4, "gates/campaigns": 4, "gates/good_stopped": 0},
    "varied": {"January/terms": 5, "January/near": 5},
    "querying": {"load/nodes": NODES, "count updates/counted": NODES * 12, "unfold, by status/counted": NODES * 12},
    "rolling": {"naive, 25% out/nodes": NODES, "conductor/nodes": NODES},
    "starting": {},
    "viewing": {"the same bytes/refused": 0, "viewers/refused": 0},
    "conducting": {"bare event queue/nodes": NODES, "sqlite: conduct/nodes": NODES},
    "simulating": {"conducted and watched/nodes": NODES},
    "deciding": {"rows decided/nodes": NODES},
    "transitions": {
        "sqlite: embedded, in one process/returned": NODES,
        "postgresql: embedded, in one process/returned": NODES,
        "postgresql: embedded, 2 workers/returned": NODES,
        "postgresql: temporal, 2 workers/returned": NODES,
    },
}
MACHINE = {"cpu", "cores", "memory_gib", "system", "python", "sqlite", "load_before"}


class Server(Protocol):
    """What is used of the fixture `postgres`."""

    admin: URL


@pytest.mark.slow
@pytest.mark.timeout(900)  # a loaded machine: up to seventeen fresh interpreters, each of which imports everything
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
    command += ARGUMENTS.get(name, [])
    environment = {**os.environ, "FERMATA_TEST_POSTGRES": server, "PYTHONPATH": source}
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_classic_benchmark_compares_a_folder_of_projects_and_without_one_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "a.rcp").write_text("4 1\n2\n0 0 2 2 3\n3 2 1 4\n2 1 1 4\n0 0 0\n")
    (tmp_path / "best.csv").write_text("file,makespan\na.rcp,5\n")
    script = [sys.executable, str(ROOT / "benchmarks" / "rcpsp.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    options = ["--seconds", "5", "--best-known", str(tmp_path / "best.csv"), "--json", str(tmp_path / "figures.json")]
    subprocess.run([*script, str(folder), *options], capture_output=True, check=True, env=environment)
    told = json.loads((tmp_path / "figures.json").read_text())["tiny"]
    assert [told[name]["proven or equal %"] for name in ("bare solver", "solve_project")] == [100, 100]
    bare = subprocess.run(script, capture_output=True, check=True, text=True, env=environment)
    assert bare.stdout.startswith("No folder was named, so nothing is measured.")


@pytest.mark.slow
def test_a_case_is_profiled_in_place_of_the_table(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    script = [sys.executable, str(ROOT / "benchmarks" / "auditing.py"), "--nodes", str(NODES), "--json", str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    given = {"capture_output": True, "text": True, "env": environment}
    told = subprocess.run([*script, "--profile", "verify"], check=False, **given)
    title, total, parts, *rows = told.stdout.splitlines()
    assert title.endswith(": verify")
    assert total.endswith("s with the profiler's own")
    assert "by part" in parts
    assert any(row.endswith("  fermata.store") for row in rows)
    functions = rows[[row.endswith("function") for row in rows].index(True) + 1 :]
    assert len(functions) == 15
    assert not file.exists()
    wrong = subprocess.run([*script, "--profile", "verified"], check=False, **given)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("no case is called verified; they are bare rows, append, read, verify")
