"""Whole scenario folders: the files against each other, consent on file, and the scenario in the package."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fermata import scenarios
from fermata.domain.fleet import DeviceScope
from fermata.domain.policy import AfterDue, Conditions, Scope, ScopeLevel, Verdict
from fermata.formats.approvals import ApprovalOrder, read_approvals
from fermata.formats.scenario import input_hashes, read_scenario

APPROVALS_YAML = """\
approvals:
  - {verdict: approve, scope: {supercomputer: sc-1}, actor: lumen-capacity, reason: agreed}
  - {verdict: withdraw, scope: {node: alpha-n1}, actor: lumen-capacity, at: "2026-01-02T21:00:00Z"}
"""
APPROVALS_CSV = """\
verdict,level,name,actor,reason,at
approve,supercomputer,sc-1,lumen-capacity,agreed,
withdraw,node,alpha-n1,lumen-capacity,,2026-01-02T21:00:00Z
"""


def test_january_in_the_package_is_read_whole():
    scenario = read_scenario(scenarios.path("january"))
    taken = [name for name, c in scenario.fleet.clusters.items() if scenario.campaign.scope.matches_cluster(c)]
    assert len(taken) == 72
    assert sum(len(scenario.fleet.nodes_by_cluster[name]) for name in taken) == 18_474
    assert len(scenario.fleet.nodes) == 19_514
    assert scenario.ledger is None


def test_only_scenarios_of_the_package_have_a_path():
    assert [scenarios.path(name).is_dir() for name in scenarios.NAMES] == [True]
    with pytest.raises(KeyError):
        scenarios.path("../formats")


def test_reading_twice_gives_equal_values_and_hashes(small):
    first, second = read_scenario(small.folder), read_scenario(small.folder)
    assert first == second
    assert input_hashes(first) == input_hashes(second)


def test_hash_tells_which_input_changed(small):
    before = input_hashes(read_scenario(small.folder))
    small.replace("campaign.yaml", "at_once: 1800", "at_once: 1700")
    after = input_hashes(read_scenario(small.folder))
    assert (after.fleet, after.updates, after.policy) == (before.fleet, before.updates, before.policy)
    assert after.campaign != before.campaign


CASES = {  # file, what is there, what takes its place (§ before the fault), words of the sentence, nearest name
    "cluster of an update": ("updates.yaml", "cluster: alpha", "cluster: §alhpa", "no cluster", "alpha"),
    "sku of an update": ("updates.yaml", "sku: [H100, GB200]", "sku: [§H1000, GB200]", "no sku", "H100"),
    "target": ("updates.yaml", "target: ib_leaf", "target: §ib_laef", "no device of kind", "ib_leaf"),
    "component of nodes": ("updates.yaml", "component: nic_fw", "component: §nic_wf", "No node of the fleet", "nic_fw"),
    "component of another": ("updates.yaml", "component: ib_switch_fw\n", "component: §tor_os\n", "No ib_leaf", None),
    "component required": ("updates.yaml", "[{component: ib_sw", "[{component: §ib_zw", "Nothing in", "ib_switch_fw"),
    "rack of a freeze": ("policy.yaml", "{rack: alpha-r1}", "{rack: §alpha-r9}", "no rack", "alpha-r1"),
    "customer of a freeze": ("policy.yaml", "f1, customer: lumen", "f1, customer: §lumne", "a customer", "lumen"),
    "value of a scope": ("campaign.yaml", "sku: [H100, GB200]", "sku: [H100, §GB2000]", "no sku", "GB200"),
    "value of a limit": ("campaign.yaml", "workload: api", "workload: §apis", "no workload", "api"),
    "value of a preference": ("campaign.yaml", "{division: applied}", "{division: §aplied}", "no division", "applied"),
    "update of a campaign": (
        "campaign.yaml",
        "{all_production_ready: true}",
        "[leaf-31.2016, §nic-28.44]",
        "does not exist",
        "nic-28.43",
    ),
    "update not ready": (
        "campaign.yaml",
        "{all_production_ready: true}",
        "[§host-os-2026.2-rc]",
        "is flight_ready",
        None,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_another_file_must_know_is_refused_with_its_place(small, refused, case):
    file, old, new, words, suggestion = case
    path = small.replace(file, old, new)
    before, _, after = path.read_text().partition("§")
    path.write_text(before + after)
    (fault,) = refused(lambda: read_scenario(small.folder))
    assert words in fault.sentence
    assert (fault.file, fault.suggestion) == (str(path), suggestion)
    assert (fault.line, fault.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))


def test_customer_without_a_policy_is_no_fault(small):
    text = small.text("policy.yaml")
    start, end = text.index("  - id: meridian"), text.index("notice:")
    small.write("policy.yaml", text[:start] + text[end:])
    assert "meridian" not in read_scenario(small.folder).policy.customers


def test_faults_of_all_files_come_together(small, refused):
    small.replace("fleet/nodes.csv", "prod", "prud")
    small.replace("updates.yaml", "owner_team: host-os", "owner_team: host-so")
    small.replace("policy.yaml", "deployments: all", "deployments: al")
    small.path("campaign.yaml").unlink()
    files = [fault.file.rpartition("/")[2] for fault in refused(lambda: read_scenario(small.folder))]
    assert files == ["nodes.csv", "updates.yaml", "policy.yaml", "campaign.yaml"]


def test_folder_that_is_none_is_refused(small, refused):
    (fault,) = refused(lambda: read_scenario(small.folder / "nowhere"))
    assert "not a folder" in fault.sentence


@pytest.mark.parametrize(("name", "text"), [("approvals.yaml", APPROVALS_YAML), ("approvals.csv", APPROVALS_CSV)])
def test_approvals_are_read_in_order_and_become_the_ledger(small, name, text):
    orders = read_approvals(small.write(name, text))
    assert orders[0] == ApprovalOrder(
        verdict=Verdict.APPROVED,
        scope=Scope(level=ScopeLevel.SUPERCOMPUTER, name="sc-1"),
        actor="lumen-capacity",
        reason="agreed",
        at=None,
    )
    scenario = read_scenario(small.folder)
    first, second = scenario.ledger
    assert (first.seq, first.request, first.incarnation) == (1, "req_sc-1_deployment", 1)
    assert first.updates == {"nic-28.43", "leaf-31.2016", "host-os-2026.1"}
    assert first.at == scenario.campaign.planned_as_of
    assert (second.verdict, second.scope) == (Verdict.WITHDRAWN, Scope(level=ScopeLevel.NODE, name="alpha-n1"))
    assert second.at.hour == 21


@pytest.mark.parametrize("level", ["rack,alpha-r0", "cluster,alpha", "node,alpha-n0", "supercomputer,sc-1"])
def test_every_level_finds_its_request(small, level):
    small.write("approvals.csv", f"verdict,level,name,actor\napprove,{level},me\n")
    (entry,) = read_scenario(small.folder).ledger
    assert entry.request == "req_sc-1_deployment"


def test_empty_list_of_approvals_is_a_ledger_without_consent(small):
    small.write("approvals.yaml", "approvals: []\n")
    assert read_scenario(small.folder).ledger == ()


APPROVAL_CASES = {
    "unknown cluster": ("supercomputer,sc-1", "cluster,§alhpa", "no cluster", "alpha"),
    "unknown level": ("supercomputer,sc-1", "§supercluster,sc-1", "supercomputer", "supercomputer"),
    "unknown verdict": ("approve,", "§aprove,", "approve, withdraw, decline or offer", "approve"),
    "no actor": ("alpha-n1,lumen-capacity", "alpha-n1,§", "actor is missing", None),
    "time without offset": ("21:00:00Z", "21:00:00", "offset", None),
    "nothing pending": ("supercomputer,sc-1", "rack,§beta-r9", "Nothing is pending", None),
    "rack of two supercomputers": ("supercomputer,sc-1", "rack,§alpha-r1", "name its nodes", None),
}


@pytest.mark.parametrize("case", APPROVAL_CASES.values(), ids=APPROVAL_CASES)
def test_each_fault_of_an_approval_has_its_place(small, refused, case):
    old, new, words, suggestion = case
    if "beta-r9" in new:
        row = "beta-n9,beta,beta-r9,1,beta-su9,prod,chat,in_service,28.43,2026.1.0\n"
        small.write("fleet/nodes.csv", small.text("fleet/nodes.csv") + row)
        small.replace(
            "fleet/devices.csv", "beta-leaf,ib_leaf,beta,cluster,beta,", "beta-leaf,ib_leaf,beta,rack,beta-r0,"
        )
    if words == "name its nodes":
        small.replace("fleet/nodes.csv", "beta-n1,beta,beta-r0", "beta-n1,beta,alpha-r1")
    path = small.write("approvals.csv", APPROVALS_CSV.replace(old, new, 1))
    before, found, after = path.read_text().partition("§")
    path.write_text(before + after)
    (fault,) = refused(lambda: read_scenario(small.folder))
    assert words in fault.sentence
    assert fault.suggestion == suggestion
    if found:
        line = before.split("\n")[-1]
        assert (fault.line, fault.column) == (before.count("\n") + 1, line.count(",") + 1)


def test_approval_without_a_time_needs_the_campaigns(small, refused):
    small.write("approvals.yaml", APPROVALS_YAML)
    small.replace("campaign.yaml", 'planned_as_of: "2026-01-02T20:00:00Z"\n', "")
    (fault,) = refused(lambda: read_scenario(small.folder))
    assert (fault.line, "`at`" in fault.sentence) == (2, True)


def test_two_approvals_files_are_refused(small, refused):
    small.write("approvals.yaml", APPROVALS_YAML)
    small.write("approvals.csv", APPROVALS_CSV)
    assert "keep one" in refused(lambda: read_scenario(small.folder))[0].sentence


def test_approvals_of_another_form_are_refused(small, refused):
    path = small.write("approvals.txt", APPROVALS_YAML)
    assert "ends in" in refused(lambda: read_approvals(path))[0].sentence


TERMS_YAML = """\
approvals:
  - verdict: approve
    scope: {group: alpha-r0-tor}
    actor: lumen-capacity
    without: [leaf-31.2016]
    conditions:
      not_before: "2026-01-05T00:00:00Z"
      not_after: "2026-02-05T00:00:00Z"
      nodes_per_day: 2
      with_updates: [nic-28.43]
      with_scope: {rack: alpha-r1}
  - {verdict: approve, scope: {node: alpha-n2}, actor: lumen-capacity, only: [host-os-2026.1, nic-28.43]}
  - {verdict: decline, scope: {cluster: beta}, actor: meridian-infra,
     reason: launch, until: "2026-05-01T00:00:00Z", then: escalate}
  - {verdict: approve, scope: {node: alpha-n0}, actor: lumen-capacity, flight: host-os-2026.2-rc}
"""
TERMS_CSV = """\
verdict,level,name,actor,reason,only,without,flight,not_before,not_after,nodes_per_day,with_updates,with_scope,until,then
approve,group,alpha-r0-tor,lumen-capacity,,,leaf-31.2016,,2026-01-05T00:00:00Z,2026-02-05T00:00:00Z,2,nic-28.43,rack:alpha-r1,,
approve,node,alpha-n2,lumen-capacity,,host-os-2026.1; nic-28.43,,,,,,,,,
decline,cluster,beta,meridian-infra,launch,,,,,,,,,2026-05-01T00:00:00Z,escalate
approve,node,alpha-n0,lumen-capacity,,,,host-os-2026.2-rc,,,,,,,
"""


@pytest.mark.parametrize(("name", "text"), [("approvals.yaml", TERMS_YAML), ("approvals.csv", TERMS_CSV)])
def test_parts_conditions_declines_and_flights_are_read(small, name, text):
    small.write(name, text)
    group, part, decline, flight = read_scenario(small.folder).ledger
    assert (group.scope, group.place) == (
        Scope(level=ScopeLevel.GROUP, name="alpha-r0-tor"),
        ("alpha", DeviceScope.RACK, "alpha-r0"),
    )
    assert group.conditions == Conditions(
        not_before=datetime(2026, 1, 5, tzinfo=UTC),
        not_after=datetime(2026, 2, 5, tzinfo=UTC),
        nodes_per_day=2,
        with_updates=frozenset({"nic-28.43"}),
        with_scope=Scope(level=ScopeLevel.RACK, name="alpha-r1"),
    )
    assert (group.excluded, group.updates) == ({"leaf-31.2016"}, {"nic-28.43", "host-os-2026.1"})
    assert (part.is_part, part.updates) == (True, {"host-os-2026.1", "nic-28.43"})
    assert (decline.verdict, decline.until.month, decline.then) == (Verdict.DECLINED, 5, AfterDue.ESCALATE)
    assert (flight.flight, "host-os-2026.2-rc" in flight.updates) == ("host-os-2026.2-rc", True)


ON_A_TEST_NODE = """\
- {verdict: approve, scope: {node: alpha-n0}, actor: lumen-capacity, only: [host-os-2026.2-rc]}
"""


def test_a_flight_in_the_approvals_is_part_of_what_a_plan_is_made_from(small):
    bare = read_scenario(small.folder)
    assert bare.flown is bare.catalogue
    small.write("approvals.yaml", f"approvals:\n{ON_A_TEST_NODE}")
    read = read_scenario(small.folder)
    assert [(each.update, each.nodes) for each in read.flown.flights] == [("host-os-2026.2-rc", {"alpha-n0"})]
    assert replace(read.flown, flights=()) == read.catalogue == bare.catalogue
    before, after = input_hashes(bare), input_hashes(read)
    assert replace(after, updates=before.updates) == before != after


TERM_CASES = {
    "unknown group": ("{group: alpha-r0-tor}", "{group: alpha-r0-tr}", "no group"),
    "no such item": ("[leaf-31.2016]", "[leaf-32]", "does not hold leaf-32"),
    "time without offset": ('"2026-01-05T00:00:00Z"', '"2026-01-05T00:00:00"', "offset"),
    "a date": ('"2026-01-05T00:00:00Z"', '"2026-01-05"', "offset"),
    "no number": ("nodes_per_day: 2", "nodes_per_day: 0", "whole number from 1"),
    "contradiction": ("2026-02-05", "2026-01-04", "cannot be kept"),
    "left out and needed": ("with_updates: [nic-28.43]", "with_updates: [leaf-31.2016]", "left out and asked for"),
    "of another cluster": ("with_scope: {rack: alpha-r1}", "with_scope: {rack: beta-r0}", "do not lie in one cluster"),
    "no such scope": ("with_scope: {rack: alpha-r1}", "with_scope: {rack: alpha-r9}", "no rack"),
    "wide scope": ("with_scope: {rack: alpha-r1}", "with_scope: {supercomputer: sc-1}", "unknown"),
    "empty conditions": (
        TERMS_YAML[TERMS_YAML.index("    cond") : TERMS_YAML.index("  - {verdict: approve")],
        "    conditions: {}\n",
        "say nothing",
    ),
    "no end": ('until: "2026-05-01T00:00:00Z", then: escalate', "reason: launch", "until when"),
    "end that is over": ("2026-05-01", "2026-01-01", "over already"),
    "no reason": ("reason: launch, ", "", "needs a reason"),
    "past the due date": (", then: escalate", "", "say what follows"),
    "nothing follows": ("then: escalate", "then: wait", "escalate or proceed"),
    "flight on a node of another role": (
        "{node: alpha-n0}, actor: lumen-capacity, flight",
        "{node: alpha-n1}, actor: lumen-capacity, flight",
        "of role test",
    ),
    "not a flight": ("flight: host-os-2026.2-rc", "flight: nic-28.43", "no flight"),
}


@pytest.mark.parametrize("case", TERM_CASES.values(), ids=TERM_CASES)
def test_each_wrong_term_of_an_approval_is_faulted(small, refused, case):
    old, new, words = case
    assert old in TERMS_YAML
    text = TERMS_YAML.replace(old, new, 1)
    if words == "until when":
        text = text.replace("reason: launch, reason: launch", "reason: launch")
    small.write("approvals.yaml", text)
    assert any(words in fault.sentence for fault in refused(lambda: read_scenario(small.folder)))


CELL_CASES = {
    "number": (",2,nic-28.43,", ",many,nic-28.43,", "whole number from 1"),
    "scope": ("rack:alpha-r1", "alpha-r1", "such as rack:r004"),
    "what follows": (",escalate", ",wait", "escalate"),
    "time": ("2026-01-05T00:00:00Z", "2026-01-05", "offset"),
}


@pytest.mark.parametrize("case", CELL_CASES.values(), ids=CELL_CASES)
def test_each_wrong_cell_of_an_approval_is_faulted_where_it_stands(small, refused, case):
    old, new, words = case
    small.write("approvals.csv", TERMS_CSV.replace(old, new, 1))
    (fault,) = refused(lambda: read_scenario(small.folder))
    assert words in fault.sentence
    assert fault.line in (2, 4)
