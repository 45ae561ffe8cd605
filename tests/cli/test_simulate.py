"""`fermata simulate`, and how `fermata plan` tells how sure it is."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.line import Line
from tests.cli.test_plan import write_folder

from fermata.formats.plans import read_plan, write_plan

RUNS = ("--runs", "40")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "small", nodes_out=10)


@pytest.fixture
def plan_file(line: Line, folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    assert line.run("plan", str(folder), "--out", str(path)).code == 0
    return path


def test_figures_of_a_plan_file_stand_on_one_screen(line: Line, folder: Path, plan_file: Path) -> None:
    said = line.run("simulate", str(plan_file), "--scenario", str(folder), *RUNS)
    assert said.code == 0
    assert "40 campaigns with seed 1" in said.out
    assert "Limits held in the plan: every window opens as planned" in said.out
    assert "Limits held at run time" not in said.out
    assert "Deadline" in said.out
    assert "None" not in said.out


def test_json_has_both_modes_and_every_window(line: Line, folder: Path, plan_file: Path) -> None:
    given = ("simulate", str(plan_file), "--scenario", str(folder), "--gate", "--json", *RUNS)
    first, again = line.run(*given), line.run(*given)
    assert first.out == again.out
    told = json.loads(first.out)
    assert (told["schema"], told["runs"], told["correlation"]) == ("fermata.simulation/1", 40, 0.2)
    assert [mode["mode"] for mode in told["modes"]] == ["plan", "gate"]
    windows = {window.id for window in read_plan(plan_file).windows}
    assert all({window["window"] for window in mode["windows"]} == windows for mode in told["modes"])


def test_plan_of_other_files_is_refused(line: Line, folder: Path, plan_file: Path) -> None:
    plan = read_plan(plan_file)
    write_plan(replace(plan, inputs=replace(plan.inputs, policy="0" * 64)), plan_file)
    said = line.run("simulate", str(plan_file), "--scenario", str(folder), "--json")
    assert said.code == 1
    assert json.loads(said.out)["error"]["code"] == "PLAN_INPUTS_CHANGED"


@pytest.mark.parametrize(
    "given", [("plan.json",), ("plan_1", "--scenario", "."), ("plan.json", "--runs", "0"), ("p", "--correlation", "2")]
)
def test_what_cannot_be_meant_is_a_usage_error(line: Line, given: tuple[str, ...]) -> None:
    assert line.run("simulate", *given).code == 2


def test_stored_plan_is_simulated_from_what_it_was_made_from(line: Line, folder: Path) -> None:
    assert line.run("import", "scenario", str(folder)).code == 0
    assert line.run("approve", "cluster", "alpha").code == 0
    name = line.run("plan", "small", "--json").json["id"]
    told = line.run("simulate", name, "--json", *RUNS).json
    assert (told["plan"], told["planned"]["nodes"]) == (name, 2)
    assert line.run("simulate", "plan_other").code == 1


def test_plan_says_which_windows_are_less_sure_than_asked_and_why(line: Line, folder: Path) -> None:
    campaign = folder / "campaign.yaml"
    text = campaign.read_text(encoding="utf-8")
    campaign.write_text(re.sub("fallout: {fraction: [0-9.]+", "fallout: {fraction: 0.015", text), encoding="utf-8")
    unsure = line.run("plan", str(folder), "--confidence", "0.99")
    assert "1 of 1 window is less than 99 % sure of the end." in unsure.out
    assert "1 END_UNSURE_FALLOUT: more nodes may fall out than may be missing" in unsure.out
    assert "Least sure: alpha-20260103" in unsure.out
    assert "sure of the end" not in line.run("plan", str(folder), "--confidence", "0.6").out


def test_plans_asked_for_otherwise_have_other_ids(line: Line, folder: Path) -> None:
    asked = ((), ("--confidence", "0.6"), ("--max-breach", "0.1"))
    assert len({line.run("plan", str(folder), "--json", *words).json["id"] for words in asked}) == len(asked)
