"""`fermata why`: files, a store, names that nobody has."""

import json
import re
import shlex
from pathlib import Path

import pytest
from tests.cli.line import Line
from tests.cli.test_plan import write_folder


@pytest.fixture
def planned(line: Line, tmp_path: Path) -> tuple[Line, Path, Path]:
    """A line, the folder, and the plan made from it: two nodes of one cluster in one window."""
    folder = write_folder(tmp_path / "small", nodes_out=10)
    plan = tmp_path / "plan.json"
    assert line.run("plan", str(folder), "--out", str(plan), store=False).code == 0
    return line, folder, plan


def window_of(plan: Path) -> str:
    return str(json.loads(plan.read_text())["windows"][0]["id"])


def test_a_window_a_cluster_and_a_node_are_told_from_files(planned: tuple[Line, Path, Path]) -> None:
    line, folder, plan = planned
    files = ("--plan", str(plan), "--scenario", str(folder))
    window = line.run("why", window_of(plan), *files, store=False)
    assert window.code == 0
    assert "No earlier day exists for it" in window.out
    cluster = line.run("why", "alpha", *files, store=False).out
    assert "alpha may not be rolled" in cluster
    assert "the first day" in cluster
    node = line.run("why", "alpha-n0", *files, store=False).out
    assert "verify and return" in node
    assert "it assumes that lumen approves" in node
    assert "None" not in window.out + cluster + node


def test_json_has_the_plan_the_kind_and_stable_keys(planned: tuple[Line, Path, Path]) -> None:
    line, folder, plan = planned
    files = ("--plan", str(plan), "--scenario", str(folder), "--json")
    window = line.run("why", window_of(plan), *files, store=False).json
    assert list(window)[:4] == ["plan", "campaign", "kind", "window"]
    assert (window["kind"], window["earlier"], window["start"]) == ("window", [], window["earliest_alone"])
    node = line.run("why", "alpha-n0", *files, store=False).json
    assert [step["step"] for step in node["steps"]] == ["drain", "node_apply", "reboot", "verify"]
    assert node["consent"]["reason"] == "CONSENT_ASSUMED"
    cluster = line.run("why", "alpha", *files, store=False).json
    assert [reason["reason"] for reason in cluster["reasons"]] == ["WHOLE_ONLY"]


def test_a_window_that_is_less_sure_than_asked_says_why_wherever_it_is_told(line: Line, tmp_path: Path) -> None:
    folder, plan, page, why = (tmp_path / name for name in ("small", "plan.json", "plan.html", "why.html"))
    campaign = write_folder(folder, nodes_out=10) / "campaign.yaml"
    text = campaign.read_text(encoding="utf-8")
    campaign.write_text(re.sub("fallout: {fraction: [0-9.]+", "fallout: {fraction: 0.015", text), encoding="utf-8")
    told = line.run(
        *("plan", str(folder), "--confidence", "0.99", "--out", str(plan), "--html", str(page)), store=False
    )
    assert told.code == 0
    files = ("--plan", str(plan), "--scenario", str(folder))
    sentence = "END_UNSURE_FALLOUT"
    window = window_of(plan)
    assert sentence in line.run("why", window, *files, "--html", str(why), store=False).out
    assert line.run("why", window, *files, "--json", store=False).json["unsure"]["reason"] == sentence
    assert sentence in page.read_text(encoding="utf-8")
    assert sentence in why.read_text(encoding="utf-8")


def test_a_name_that_nobody_has_is_refused_with_the_nearest(planned: tuple[Line, Path, Path]) -> None:
    line, folder, plan = planned
    told = line.run("why", "alpha-n7", "--plan", str(plan), "--scenario", str(folder), store=False)
    assert told.code == 1
    assert "WHY_UNKNOWN" in told.err
    assert "the nearest is alpha-n" in told.err


def test_a_plan_file_goes_with_its_folder(planned: tuple[Line, Path, Path]) -> None:
    line, folder, plan = planned
    assert line.run("why", "alpha", "--plan", str(plan), store=False).code == 2
    assert line.run("why", "alpha", "--scenario", str(folder), store=False).code == 2
    files = ("--plan", str(plan), "--scenario", str(folder))
    assert line.run("why", "alpha", *files, "--campaign", "small", store=False).code == 2
    assert line.run("why", "alpha", "--plan", str(folder / "no.json"), "--scenario", str(folder), store=False).code == 2


def test_a_plan_of_other_files_or_one_that_breaks_a_rule_is_refused(planned: tuple[Line, Path, Path]) -> None:
    line, folder, plan = planned
    text = plan.read_text()
    plan.write_text(text.replace("2026-01-03T", "2027-01-03T"))
    broken = line.run("why", "alpha", "--plan", str(plan), "--scenario", str(folder), "--json", store=False)
    assert broken.json["error"]["code"] == "PLAN_VIOLATES"
    plan.write_text(text)
    campaign = folder / "campaign.yaml"
    campaign.write_text(campaign.read_text().replace("at_once: 10", "at_once: 11"))
    other = line.run("why", "alpha", "--plan", str(plan), "--scenario", str(folder), "--json", store=False)
    assert other.json["error"]["code"] == "PLAN_INPUTS_CHANGED"


def test_a_store_tells_of_the_plan_in_force_or_of_one_named(line: Line, tmp_path: Path) -> None:
    assert line.run("import", "scenario", str(write_folder(tmp_path / "small", nodes_out=10))).code == 0
    assert line.run("why", "alpha", "--json").json["error"]["code"] == "NOT_PUBLISHED"
    assert line.run("approve", "cluster", "alpha").code == 0
    made = line.run("plan", "small", "--json").json["id"]
    named = line.run("why", "alpha-n0", "--plan", made, "--json").json
    assert named["consent"]["reason"] == "CONSENT_GIVEN"
    assert line.run("publish", made).code == 0
    in_force = line.run("why", "alpha", "--json").json
    assert (in_force["plan"], in_force["kind"]) == (made, "cluster")
    assert line.run("why", "alpha", "--campaign", "nosuch", "--json").json["error"]["code"] == "NOT_PUBLISHED"
    assert line.run("why", "alpha", "--plan", "plan_none", "--json").json["error"]["code"] == "PLAN_UNKNOWN"


def test_a_hint_names_a_command_that_works_as_it_stands(planned: tuple[Line, Path, Path]) -> None:
    line, folder, plan = planned
    files = ("--plan", str(plan), "--scenario", str(folder))
    for name in ("alpha", "alpha-n0"):
        told = line.run("why", name, *files, store=False).out
        hint = next(row for row in told.splitlines() if "fermata why" in row).partition("fermata ")[2]
        assert line.run(*shlex.split(hint), store=False).code == 0
