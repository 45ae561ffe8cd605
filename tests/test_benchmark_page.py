"""The frame of the public figures: what a run keeps when tables fail, its schema, and the page made from it. Nothing is
measured here.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "tests" / "golden" / "benchmarks"
FIGURES = json.loads((SAMPLE / "importing-1000.json").read_text())
GOOD = f"""
import argparse, json, pathlib
parser = argparse.ArgumentParser()
for option in ("--runs", "--json", "--budget", "--nodes"):
    parser.add_argument(option)
pathlib.Path(parser.parse_args().json).write_text(json.dumps({FIGURES!r}))
"""
BAD = "raise SystemExit('no such fleet')"
ENDING = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(60)"
SLOW = "import time; time.sleep(60)"


@pytest.fixture
def frame(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The scripts' own modules, which stand beside each other and not in a package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    before = set(sys.modules)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield SimpleNamespace(**{name: _load(name) for name in ("bench", "page", "tables", "curves", "charts")})
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(ROOT / "benchmarks")):
            del sys.modules[name]


def _load(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.fixture
def validator() -> Draft202012Validator:
    schema = json.loads((ROOT / "benchmarks" / "schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def run(
    frame: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, folder: Path, scripts: dict[str, str], *options: str
) -> int:
    """The exit code of a run over these scripts, in a plan of a table for each."""
    made = folder / "scripts"
    made.mkdir(exist_ok=True)
    for name, text in scripts.items():
        (made / f"{name}.py").write_text(text)
    plan = tuple(frame.tables.Table(script=name, nodes=1000, seconds=20, runs=1) for name in scripts)
    monkeypatch.setitem(frame.bench.PLANS, "bench", plan)
    monkeypatch.setattr(frame.bench, "HERE", made)
    monkeypatch.setattr(sys, "argv", ["bench.py", "--out", str(folder / "out"), *options])
    try:
        frame.bench.main()
    except SystemExit as end:
        return int(str(end.code))
    return 0


def kept(folder: Path) -> dict[str, str]:
    """What became of each table."""
    told = json.loads((folder / "out" / "run.json").read_text())
    return {table["name"]: table["state"] for table in told["tables"]}


def test_a_table_that_fails_ends_no_other_and_the_run_says_so_at_the_end(
    frame: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(frame, monkeypatch, tmp_path, {"bad": BAD, "good": GOOD}) == 1
    assert kept(tmp_path) == {"bad-1000": "failed", "good-1000": "done"}
    assert "Without all figures: bad-1000." in capfd.readouterr().out
    assert "no such fleet" in (tmp_path / "out" / "run.json").read_text()
    assert (tmp_path / "out" / "good-1000.json").exists()


def test_a_run_in_which_all_is_measured_ends_well(
    frame: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run(frame, monkeypatch, tmp_path, {"good": GOOD}) == 0
    assert kept(tmp_path) == {"good-1000": "done"}


def test_ctrl_c_keeps_what_was_measured_and_begins_nothing_more(
    frame: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run(frame, monkeypatch, tmp_path, {"good": GOOD, "ending": ENDING, "never": GOOD}) == 130
    assert kept(tmp_path) == {"good-1000": "done", "ending-1000": "ended"}


def test_a_table_that_takes_longer_than_it_may_is_ended(
    frame: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(frame.bench, "GRACE_SECONDS", -20)
    assert run(frame, monkeypatch, tmp_path, {"slow": SLOW}) == 1
    assert kept(tmp_path) == {"slow-1000": "late"}


def test_a_table_measured_again_takes_its_place_among_the_others_of_its_folder(
    frame: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(frame, monkeypatch, tmp_path, {"bad": BAD, "good": GOOD})
    assert run(frame, monkeypatch, tmp_path, {"bad": GOOD, "good": BAD}, "--only", "bad") == 0
    assert kept(tmp_path) == {"bad-1000": "done", "good-1000": "done"}


@pytest.mark.parametrize("plan", ["bench", "full"])
def test_a_plan_fits_into_the_time_that_was_promised_for_it(frame: SimpleNamespace, plan: str) -> None:
    tables = frame.tables.PLANS[plan]
    assert sum(table.seconds for table in tables) + frame.bench.GRACE_SECONDS <= frame.tables.PROMISED[plan]
    assert len({table.name for table in tables}) == len(tables)
    assert all((ROOT / "benchmarks" / f"{table.script}.py").exists() for table in tables)


def test_time_that_a_table_left_is_the_next_ones_and_time_it_overran_is_lost(frame: SimpleNamespace) -> None:
    table = frame.tables.Table(script="importing", nodes=1000, seconds=30)
    assert frame.tables.allowed(table, 12.0, 1.0) == 42
    assert frame.tables.allowed(table, -15.0, 1.0) == 15
    assert frame.tables.allowed(table, -100.0, 2.0) == frame.tables.LEAST_SECONDS


@pytest.mark.parametrize("file", sorted(SAMPLE.glob("*.json")), ids=lambda file: file.stem)
def test_the_schema_takes_the_sample(file: Path, validator: Draft202012Validator) -> None:
    validator.validate(json.loads(file.read_text()))


def test_the_schema_takes_what_a_run_wrote_and_refuses_other_keys(
    frame: SimpleNamespace, validator: Draft202012Validator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(frame, monkeypatch, tmp_path, {"bad": BAD, "good": GOOD})
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    validator.validate(told)
    assert not validator.is_valid(told | {"host": "a-machine"})
    assert not validator.is_valid(FIGURES | {"cases": [{"name": "import"}]})


def test_the_page_is_made_from_the_figures(frame: SimpleNamespace) -> None:
    page = frame.page.render(frame.page.read([SAMPLE], SAMPLE / "judged.yaml"))
    assert page == (SAMPLE / "page.md").read_text()


def test_charts_are_small_text_and_the_same_each_time(frame: SimpleNamespace, tmp_path: Path) -> None:
    made = frame.page.read([SAMPLE], SAMPLE / "judged.yaml")
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        frame.page.write(made, tmp_path / name)
        written.append({file.name: file.read_bytes() for file in (tmp_path / name / "benchmarks").iterdir()})
    assert written[0] == written[1]
    assert set(written[0]) == {"importing.svg"}  # the one script that was measured at several sizes
    text = written[0]["importing.svg"].decode()
    assert len(text) < 30_000
    assert "sqlite: import (1.23)" in text


def test_a_growth_is_fitted_over_logarithms_and_steep_above_a_tenth(frame: SimpleNamespace) -> None:
    square = frame.curves.fit({1000: 1.0, 10_000: 100.0, 100_000: 10_000.0})
    assert (round(square.exponent, 6), square.points, square.is_steep) == (2, 3, True)
    line = frame.curves.fit({1000: 1.0, 10_000: 10.0})
    assert (round(line.exponent, 6), line.points, line.is_steep) == (1, 2, False)
    assert frame.curves.fit({1000: 1.0}) is None
    assert frame.curves.fit({1000: 0.0, 10_000: 1.0}) is None


def test_a_steep_growth_that_nobody_explained_is_told_as_such(frame: SimpleNamespace, tmp_path: Path) -> None:
    judged = tmp_path / "judged.yaml"
    judged.write_text((SAMPLE / "judged.yaml").read_text().replace('"sqlite: import":', "another:"))
    assert "| ⚠ 1.23 | not explained yet |" in frame.page.render(frame.page.read([SAMPLE], judged))


def test_what_is_judged_names_tables_that_are_measured(frame: SimpleNamespace) -> None:
    judged = frame.page.read([SAMPLE]).judged
    planned = {table.script for plan in frame.tables.PLANS.values() for table in plan}
    assert {target["place"][0] for target in judged["targets"]} <= planned
    assert set(judged["growth"]) <= planned
    assert set(judged["missed"]) <= {target["what"] for target in judged["targets"]}


def test_a_folder_that_no_run_wrote_to_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "page.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, check=False, text=True, env=environment)
    assert done.returncode == 2
    assert "no run has written to" in done.stderr


def test_a_made_fleet_has_its_size_and_is_the_same_for_its_seed(tmp_path: Path) -> None:
    def make(name: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "benchmarks" / "make_fleet.py"), "--out", str(tmp_path / name), *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        return subprocess.run(command, capture_output=True, check=False, text=True, env=environment)

    def files(name: str) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in sorted((tmp_path / name).rglob("*.*"))}

    for name, seed in (("one", "1"), ("two", "1"), ("three", "2")):
        assert make(name, "--nodes", "1000", "--seed", seed).returncode == 0
    assert files("one") == files("two") != files("three")
    assert files("one").keys() == {
        "campaign.yaml", "clusters.csv", "devices.csv", "nodes.csv", "policy.yaml", "updates.yaml",
    }  # fmt: skip
    assert files("one")["nodes.csv"].count(b"\n") == 1001
    again = make("one", "--nodes", "1000")
    assert (again.returncode, "name a new folder" in again.stderr) == (2, True)
    small = make("four", "--nodes", "8")
    assert (small.returncode, "1,000 to 1,000,000 nodes" in small.stderr) == (2, True)
