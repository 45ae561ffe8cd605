"""`fermata plan` on a small folder: exit codes, what is written, what is told."""

import json
from pathlib import Path

import pytest

from fermata.cli.main import main
from fermata.cli.plan_guard import tell_notes
from fermata.domain.reasons import Code, reason
from fermata.formats.plans import read_plan
from fermata.planning.inputs import Planned

CLUSTERS = (
    "cluster,supercomputer,customer,region,geo,timezone,datacenter,sku,division,rolling_allowed,"
    "single_placement_group\n"
    "alpha,sc-1,lumen,westus,US,America/Los_Angeles,dc1,H100,research,false,false\n"
)
NODES = (
    "node,cluster,rack,fault_domain,scalable_unit,role,workload,state,component.nic_fw\n"
    "alpha-n0,alpha,alpha-r0,0,alpha-su0,prod,training,in_service,1.0\n"
    "alpha-n1,alpha,alpha-r0,0,alpha-su0,prod,training,in_service,1.0\n"
)
DEVICES = "device,kind,cluster,scope,scope_id,component,version\n"
UPDATES = """
defaults:
  drain_minutes: {p50: 5, p90: 6}
  reboot_minutes: {p50: 5, p90: 6}
  verify_minutes: {p50: 5, p90: 6}
teams: [{id: nic, at_once: 10}]
updates:
  - id: nic
    title: NIC firmware
    owner_team: nic
    target: node
    component: nic_fw
    to_version: "2.0"
    applies_to: {}
    impact: rebootful
    criticality: regular
    stage: production_ready
    released_at: "2025-12-19T00:00:00Z"
    not_before: null
    duration_minutes: {p50: 60, p90: 70}
    isolation: {by: none}
    rollback: eligible
"""
POLICY = """
customers:
  - id: lumen
    block: {deployments: all, repairs: all, except_criticality: []}
    flighting: {allowed_roles: [test], max_nodes: 1}
    approvers: [lumen-capacity]
notice: {regular_update: 90, regular_hardware: 30, critical_repair: 1, critical_update: 1}
freezes: []
"""
CAMPAIGN = """
id: small
title: Small
planned_as_of: "2026-01-02T20:00:00Z"
scope: {sku: [H100]}
updates: {all_production_ready: true}
timezone: America/Los_Angeles
first_day: "2026-01-03"
deadline: "2026-01-04"
extension_until: "2026-01-05"
daily_window: {start: "11:00", back_in_service_by: "19:00", hard_stop: "20:00"}
weekends: staffed
avoid_weekdays: []
big_cluster_nodes: 400
rolling: {min_fraction_per_day: 0.05, max_fraction_per_day: 0.10}
limits:
  - {what: nodes_out, at_once: NODES_OUT}
preferences: [finish_by_deadline, fewest_windows]
fallout: {fraction: 0.0, mean_days_to_repair: 2}
return_threshold: 0.95
"""
APPROVALS = """
approvals:
  - {verdict: approve, scope: {cluster: alpha}, actor: lumen-capacity}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "small", nodes_out=10)


def write_folder(folder: Path, *, nodes_out: int) -> Path:
    (folder / "fleet").mkdir(parents=True)
    (folder / "fleet" / "clusters.csv").write_text(CLUSTERS)
    (folder / "fleet" / "nodes.csv").write_text(NODES)
    (folder / "fleet" / "devices.csv").write_text(DEVICES)
    (folder / "updates.yaml").write_text(UPDATES)
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "campaign.yaml").write_text(CAMPAIGN.replace("NODES_OUT", str(nodes_out)))
    return folder


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    code = stopped.value.code
    assert isinstance(code, int)
    return code


def test_plan_without_approvals_is_a_draft_and_says_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", folder, "--out", tmp_path / "plan.json") == 0
    told = capsys.readouterr()
    assert "1 window, 2 nodes" in told.out
    assert "nothing can be published from it" in told.err
    assert [window.nodes for window in read_plan(tmp_path / "plan.json").windows] == [("alpha-n0", "alpha-n1")]


def test_a_plan_within_its_time_limit_says_nothing_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One window, alone: the first plan is the best there is, even with no time at all."""
    assert run("plan", folder, "--time-limit", "0") == 0
    assert "time limit" not in capsys.readouterr().err


def test_a_search_that_was_cut_short_is_told_on_standard_error(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", folder, "--out", tmp_path / "plan.json") == 0
    tell_notes(
        Planned(plan=read_plan(tmp_path / "plan.json"), notes=(reason(Code.SEARCH_CUT_SHORT, campaign="small"),))
    )
    assert "better plan of small ended at its time limit" in capsys.readouterr().err


def test_equal_files_seed_and_time_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    for name in ("one.json", "two.json"):
        assert run("plan", folder, "--out", tmp_path / name, "--json") == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_another_seed_or_time_gives_another_id(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = set()
    for more in ([], ["--seed", "2"], ["--now", "2026-01-01T00:00:00Z"]):
        assert run("plan", folder, "--json", *more) == 0
        ids.add(json.loads(capsys.readouterr().out)["id"])
    assert len(ids) == 3


def test_approvals_file_makes_consent_a_matter_of_record(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "approvals.yaml").write_text(APPROVALS)
    assert run("plan", folder, "--approvals", tmp_path / "approvals.yaml", "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["unplanned"] == []
    assert "draft" not in told.err


def test_no_plan_exits_3_with_what_clashes_and_what_would_help(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tight = write_folder(tmp_path / "tight", nodes_out=1)
    assert run("plan", tight, "--out", tmp_path / "plan.json", "--json") == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "NO_PLAN"
    assert [clash["rule"] for clash in error["clashes"]] == ["limits[0] nodes_out"]
    assert [change["sentence"] for change in error["relaxations"]] == ["Raise limits[0] nodes_out from 1 to 2 at_once."]
    assert not (tmp_path / "plan.json").exists()


def test_a_pipe_sees_no_progress(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", folder, "--json") == 0
    told = capsys.readouterr()
    assert told.out.startswith("{")
    assert told.err.startswith("A draft")
    assert "reading" not in told.err


def test_the_summary_tells_days_sureness_and_bounds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", folder) == 0
    told = capsys.readouterr().out
    for words in ("Sat 2026-01-03", "All of it by the deadline", "1 cluster whole", "proven best"):
        assert words in told
    assert "None" not in told


def test_folder_that_cannot_be_read_exits_2(tmp_path: Path) -> None:
    assert run("plan", tmp_path / "missing") == 2


def test_a_name_that_is_no_folder_leaves_no_store_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("plan", "janury") == 2
    assert "'janury' is not a folder, nor a campaign of a store" in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_usage_errors_are_json_too_where_json_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", folder, "--confidence", "2", "--json") == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["exit_code"]) == ("USAGE", 2)
    assert "--confidence" in error["sentence"]


def test_nodes_of_unknown_version_are_left_out_in_one_row_of_their_cluster(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = folder / "fleet" / "nodes.csv"
    stuck = (f"alpha-s{n},alpha,alpha-r1,0,alpha-su0,prod,training,in_service,\n" for n in range(30))
    nodes.write_text(nodes.read_text() + "".join(stuck))
    assert run("plan", folder) == 0
    rows = [row for row in capsys.readouterr().out.splitlines() if "does not report the version of" in row]
    assert len(rows) == 1
    assert rows[0].split()[:2] == ["alpha", "30"]


def test_the_summary_tells_how_the_days_were_timed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", folder) == 0
    assert "1 of 1 day timed together and proven; none could end earlier." in capsys.readouterr().out
