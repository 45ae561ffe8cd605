"""`fermata check`: what it prints and the exit code it ends with."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.constraints import world as w

from fermata.cli.main import main
from fermata.domain.ids import NodeId
from fermata.domain.plans import Plan
from fermata.formats.plans import write_plan
from fermata.formats.scenario import input_hashes, read_scenario
from fermata.planning.checker import list_rules
from fermata.planning.inputs import PlanningInput

FILES = {
    "fleet/clusters.csv": """\
cluster,supercomputer,customer,region,geo,timezone,datacenter,sku,division,rolling_allowed,single_placement_group
alpha,sc-1,lumen,westus3,US,America/Phoenix,westus3-dc1,H100,research,false,false
""",
    "fleet/nodes.csv": """\
node,cluster,rack,fault_domain,scalable_unit,role,workload,state,component.agent
alpha-n0,alpha,alpha-r0,0,alpha-su0,prod,api,in_service,1.0
alpha-n1,alpha,alpha-r0,1,alpha-su0,prod,api,in_service,1.0
""",
    "fleet/devices.csv": "device,kind,cluster,scope,scope_id,component,version\n",
    "updates.yaml": """\
defaults:
  drain_minutes: {p50: 2, p90: 4}
  reboot_minutes: {p50: 3, p90: 4}
  verify_minutes: {p50: 2, p90: 4}
teams: [{id: agents, at_once: 5}]
updates:
  - {id: agent, title: Host agent, owner_team: agents, target: node, component: agent, to_version: "2.0",
     applies_to: {}, impact: impactless, criticality: regular, stage: production_ready,
     released_at: "2025-12-18T00:00:00Z", not_before: null, duration_minutes: {p50: 1, p90: 2},
     isolation: {by: none}, rollback: eligible}
""",
    "policy.yaml": """\
customers:
  - id: lumen
    block: {deployments: all, repairs: all, except_criticality: []}
    flighting: {allowed_roles: [test], max_nodes: 1}
    approvers: [lumen-capacity]
notice: {regular_update: 90, regular_hardware: 30, critical_repair: 1, critical_update: 1}
freezes: []
""",
    "campaign.yaml": """\
id: small
title: Small
planned_as_of: "2026-01-02T20:00:00Z"
scope: {sku: [H100]}
updates: {all_production_ready: true}
timezone: America/Los_Angeles
first_day: "2026-01-03"
deadline: "2026-01-08"
extension_until: "2026-01-10"
daily_window: {start: "11:00", back_in_service_by: "19:00", hard_stop: "20:00"}
weekends: staffed
avoid_weekdays: [friday]
big_cluster_nodes: 400
rolling: {min_fraction_per_day: 0.05, max_fraction_per_day: 0.10}
limits: [{what: nodes_out, at_once: 2}]
preferences: [finish_by_deadline, fewest_windows]
fallout: {fraction: 0.015, mean_days_to_repair: 2}
return_threshold: 0.95
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "scenario" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "scenario"


def valid_plan(folder: Path) -> Plan:
    scenario = read_scenario(folder)
    inputs = PlanningInput(
        fleet=scenario.fleet,
        catalogue=scenario.catalogue,
        policy=scenario.policy,
        campaign=scenario.campaign,
        ledger=scenario.ledger,
        now=w.NOW,
    )
    window = w.window(inputs, "w-alpha", ["alpha-n0", "alpha-n1"], w.MONDAY, stages=("agent",))
    return replace(w.plan(inputs, [window]), inputs=input_hashes(scenario))


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["check", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def saved(plan: Plan, folder: Path) -> str:
    path = folder.parent / "plan.json"
    write_plan(plan, path)
    return str(path)


def test_a_valid_plan_passes_with_a_line_of_what_was_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(saved(valid_plan(folder), folder), "--scenario", str(folder)) == 0
    told = capsys.readouterr().out
    assert f"No violation in plan_1: {len(list_rules())} rules, 1 window, 2 nodes, 0 unplanned checked in" in told


def test_violations_are_told_by_rule(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = valid_plan(folder)
    late = replace(plan, windows=(replace(plan.windows[0], start=w.MONDAY - timedelta(hours=1), reboots_per_node=1),))
    path = saved(late, folder)
    assert run(path, "--scenario", str(folder)) == 1
    told = capsys.readouterr().out
    assert "DAILY_WINDOW  A window starts and ends inside the daily window of one calendar day" in told
    assert "Window w-alpha states 1 reboots a node, not 0." in told
    assert "2 violations in plan_1" in told
    assert run(path, "--scenario", str(folder), "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["windows"], answer["nodes"]) == (False, 1, 2)
    assert [x["rule"] for x in answer["violations"]] == ["DAILY_WINDOW", "REBOOTS_PER_NODE"]
    assert answer["violations"][0]["window"] == "w-alpha"


def test_a_plan_for_other_inputs_is_refused_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(valid_plan(folder), folder)
    policy = folder / "policy.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("max_nodes: 1", "max_nodes: 2"), encoding="utf-8")
    assert run(path, "--scenario", str(folder), "--json") == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "PLAN_INPUTS_CHANGED"
    assert "(policy changed since)" in error["sentence"]


def test_a_file_that_is_no_plan_is_bad_input(folder: Path) -> None:
    path = folder.parent / "plan.json"
    path.write_text("{}", encoding="utf-8")
    assert run(str(path), "--scenario", str(folder)) == 2
    assert run(str(folder.parent / "none.json"), "--scenario", str(folder)) == 2
    plan = saved(valid_plan(folder), folder)
    assert run(plan, "--scenario", str(folder.parent / "nowhere")) == 2
    assert run(plan) == 2
    assert run("plan_1", "--scenario", str(folder)) == 2


def test_a_forgotten_node_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = valid_plan(folder)
    short = replace(plan.windows[0], nodes=(NodeId("alpha-n0"),))
    assert run(saved(replace(plan, windows=(short,)), folder), "--scenario", str(folder), "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert {"rule": "NODES_COVERED", "window": None, "nodes": ["alpha-n1"]}.items() <= next(
        x for x in answer["violations"] if x["rule"] == "NODES_COVERED"
    ).items()


def test_a_plan_that_the_store_does_not_hold_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan_ghost", "--store", str(tmp_path / "store.db"), "--json") == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "PLAN_UNKNOWN"


AGENT_3 = """\
  - {id: agent-3, title: Host agent, owner_team: agents, target: node, component: agent, to_version: "3.0",
     applies_to: {}, impact: impactless, criticality: regular, stage: flight_ready,
     released_at: "2025-12-18T00:00:00Z", not_before: null, duration_minutes: {p50: 1, p90: 2},
     isolation: {by: none}, rollback: eligible}
"""
SAID = """\
approvals:
  - {verdict: approve, scope: {cluster: alpha}, actor: lumen-capacity}
  - {verdict: approve, scope: {node: alpha-n0}, actor: lumen-capacity, only: [agent-3]}
"""


def test_a_plan_from_files_with_a_flight_passes_until_its_approval_is_gone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes, updates, said = folder / "fleet/nodes.csv", folder / "updates.yaml", folder / "approvals.yaml"
    nodes.write_text(nodes.read_text(encoding="utf-8").replace("su0,prod", "su0,test", 1), encoding="utf-8")
    updates.write_text(updates.read_text(encoding="utf-8") + AGENT_3, encoding="utf-8")
    said.write_text(SAID, encoding="utf-8")
    path = str(folder.parent / "plan.json")
    with pytest.raises(SystemExit) as ended:
        main(["plan", str(folder), "--out", path])
    assert ended.value.code == 0
    (window,) = json.loads(Path(path).read_text(encoding="utf-8"))["windows"]
    assert [step["nodes"] for step in window["steps"] if step.get("update") == "agent-3"] == [1]
    assert run(path, "--scenario", str(folder)) == 0
    said.write_text(SAID.splitlines(keepends=True)[0] + SAID.splitlines(keepends=True)[1], encoding="utf-8")
    capsys.readouterr()
    assert run(path, "--scenario", str(folder), "--json") == 1
    assert "(updates changed since)" in json.loads(capsys.readouterr().out)["error"]["sentence"]
