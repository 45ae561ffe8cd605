"""The workload map as it is typed: beside a campaign's files, in place of them, and in a store."""

from pathlib import Path

import pytest
from tests.cli.line import Line
from tests.cli.test_plan import NODES, write_folder

from fermata.formats.plans import plan_to_bytes, read_plan

SPARE = (
    "spare,sc-1,lumen,westus,US,America/Los_Angeles,dc1,H100,research,false,false\n",
    (
        "spare-n0,spare,spare-r0,0,spare-su0,prod,idle,in_service,1.0\n"
        "spare-n1,spare,spare-r0,0,spare-su0,prod,idle,in_service,1.0\n"
    ),
)
MAP = """\
services:
  - {id: idle, class: idle}
  - {id: training, class: api, minimum: {US: {nodes: LEAST}}, may_move: true}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """alpha serves with both of its nodes; spare has two that do nothing."""
    made = write_folder(tmp_path / "mapped", nodes_out=10)
    clusters = made / "fleet" / "clusters.csv"
    clusters.write_text(clusters.read_text() + SPARE[0])
    (made / "fleet" / "nodes.csv").write_text(NODES + SPARE[1])
    (made / "workloads.yaml").write_text(MAP.replace("LEAST", "2"))
    return made


def test_a_plan_tells_where_the_load_stands(line: Line, folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    told = line.run("plan", str(folder), "--out", str(tmp_path / "plan.json"), "--html", str(page), store=False)
    assert told.code == 0
    assert "Load stands in" in page.read_text()
    assert "spare (2)" in page.read_text()
    assert "Services, on the day with least to spare" in told.out
    assert "spare (2)" in told.out
    plan = read_plan(tmp_path / "plan.json")
    assert [window.cluster for window in plan.windows] == ["spare", "alpha"]
    (moved,) = [line for line in plan.services if line.service == "training"]
    assert (moved.out, moved.lent, moved.remaining, moved.minimum) == (2, 2, 2, 2)
    assert plan_to_bytes(plan) == (tmp_path / "plan.json").read_bytes()
    assert line.run("check", str(tmp_path / "plan.json"), "--scenario", str(folder), store=False).code == 0


def test_a_map_elsewhere_takes_the_place_of_the_folders(line: Line, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(MAP.replace("LEAST", "0"))
    plan = tmp_path / "plan.json"
    assert line.run("plan", str(folder), "--workloads", str(other), "--out", str(plan), store=False).code == 0
    assert {window.start.day for window in read_plan(plan).windows} == {3}
    judged = ("check", str(plan), "--scenario", str(folder))
    assert line.run(*judged, "--workloads", str(other), store=False).code == 0
    played = ("simulate", *judged[1:], "--workloads", str(other), "--runs", "20")
    assert line.run(*played, store=False).code == 0
    changed = line.run(*judged, "--json", store=False)
    assert (changed.code, changed.json["error"]["code"]) == (1, "PLAN_INPUTS_CHANGED")
    assert "workloads" in changed.json["error"]["sentence"]


def test_a_minimum_that_nothing_can_keep_is_told_with_what_would_do(line: Line, folder: Path) -> None:
    (folder / "workloads.yaml").write_text("services:\n  - {id: training, class: api, minimum: {US: {nodes: 1}}}\n")
    told = line.run("plan", str(folder), store=False)
    assert told.code == 3
    assert "1 of the 2 nodes of training in US must remain" in told.err
    assert "Lower the minimum of training in US from 1 to 0 nodes." in told.err


def test_a_store_plans_with_the_map_on_record(line: Line, folder: Path) -> None:
    imported = line.run("import", "scenario", str(folder), "--json").json
    assert imported["documents"] == ["updates", "policy", "campaign", "workloads"]
    for cluster in ("alpha", "spare"):
        assert line.run("approve", "cluster", cluster).code == 0
    made = line.run("plan", "small", "--json").json
    assert [window["cluster"] for window in made["windows"]] == ["spare", "alpha"]
    assert made["services"][-1]["moves"] == [{"from": "alpha", "to": "spare", "lender": "idle", "nodes": 2}]
    assert line.run("check", made["id"]).code == 0
    (folder / "workloads.yaml").write_text(MAP.replace("LEAST", "1"))
    assert line.run("import", "workloads", str(folder / "workloads.yaml")).code == 0
    refused = line.run("publish", made["id"], "--json").json["error"]
    assert refused["code"] == "PLAN_INPUTS_CHANGED"
    assert "workloads" in refused["sentence"]


def test_a_map_that_the_stored_fleet_does_not_bear_is_refused_whole(line: Line, folder: Path) -> None:
    assert line.run("import", "scenario", str(folder)).code == 0
    (folder / "workloads.yaml").write_text(MAP.replace("LEAST", "3"))
    (folder / "workloads.csv").write_text("node,service\nalpha-n9,idle\n")
    refused = line.run("import", "workloads", str(folder / "workloads.yaml"), "--json").json["error"]
    assert [why["code"] for why in refused["reasons"]] == ["SCOPE_UNKNOWN", "MINIMUM_UNREACHABLE"]
    assert "nearest is alpha-n" in refused["reasons"][0]["sentence"]


def test_files_of_a_folder_are_not_taken_with_a_store(line: Line, folder: Path) -> None:
    assert line.run("import", "scenario", str(folder)).code == 0
    refused = line.run("plan", "small", "--workloads", str(folder / "workloads.yaml"))
    assert refused.code == 2
    assert "a store has its own workloads" in refused.err
    assert line.run("check", "plan_1", "--workloads", str(folder / "workloads.yaml")).code == 2
