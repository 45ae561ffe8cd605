"""updates.yaml, policy.yaml and campaign.yaml: what is read, and where each kind of fault is said to be."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from tests.formats.conftest import faults_of

from fermata.domain.campaign import AvoidWeekday, LimitKind, OrderClasses, SpreadEvenly, Where
from fermata.domain.fleet import Role
from fermata.domain.hashing import content_sha256, to_plain
from fermata.domain.phases import (
    DEFAULT_PHASES,
    ControlPhase,
    Counted,
    GateTerms,
    HardStops,
    OnFailure,
    SequentialTest,
)
from fermata.domain.policy import Blocked, Notice, Scope, ScopeLevel
from fermata.domain.updates import Criticality, Impact, IsolationBy, Requirement, Rollback, Stage
from fermata.formats.campaign import read_campaign
from fermata.formats.policy import read_policy
from fermata.formats.updates import read_updates

READERS = {"updates.yaml": read_updates, "policy.yaml": read_policy, "campaign.yaml": read_campaign}


def test_updates_are_read_with_every_key(small):
    catalogue = read_updates(small.path("updates.yaml"))
    nic, leaf, host = (catalogue.updates[name] for name in ("nic-28.43", "leaf-31.2016", "host-os-2026.1"))
    assert nic.applies_to.skus == {"H100", "GB200"}
    assert (nic.applies_to.clusters, nic.applies_to.from_versions) == ({"alpha"}, {"28.39"})
    assert (nic.impact, nic.criticality, nic.stage) == (
        Impact.REBOOTFUL,
        Criticality.CRITICAL_SECURITY,
        Stage.PRODUCTION_READY,
    )
    assert nic.requires == (Requirement(component="ib_switch_fw", min_version="31.2016"),)
    assert (nic.not_before, leaf.not_before, leaf.impact_seconds) == (None, None, 900)
    assert host.not_before == datetime(2026, 3, 9, 23, tzinfo=UTC)
    assert (host.after, host.conflicts_with) == (("nic-28.43",), ("leaf-31.2016",))
    assert (host.isolation.by, host.isolation.at_once) == (IsolationBy.FAULT_DOMAIN, 3)
    assert leaf.isolation.by is IsolationBy.NONE
    assert host.rollback is Rollback.FORWARD_ONLY
    assert (nic.duration_minutes.p50, nic.duration_minutes.p90) == (45, 85)
    assert catalogue.team_limits == {"nic": 20, "host-os": 12}
    assert catalogue.defaults.verify_minutes.p90 == 20


def test_policy_is_read_with_every_key(small):
    policy = read_policy(small.path("policy.yaml"))
    lumen, meridian = policy.customers["lumen"], policy.customers["meridian"]
    assert (lumen.deployments, lumen.repairs, meridian.deployments) == (Blocked.ALL, Blocked.IMPACTFUL, Blocked.NONE)
    assert lumen.except_criticality == {Criticality.CRITICAL_SECURITY}
    assert (lumen.flighting.allowed_roles, lumen.flighting.max_nodes) == ({Role.TEST}, 4)
    assert meridian.flighting.max_nodes == 0
    assert policy.notice == Notice(regular_update=60, regular_hardware=30, critical_repair=2, critical_update=1)
    assert policy.freezes[0].scope == Scope(level=ScopeLevel.RACK, name="alpha-r1")
    assert policy.freezes[0].end == datetime(2026, 1, 14, tzinfo=UTC)


def test_campaign_is_read_with_every_key(small):
    campaign = read_campaign(small.path("campaign.yaml"))
    assert campaign.planned_as_of == datetime(2026, 1, 2, 20, tzinfo=UTC)
    assert campaign.updates is None
    assert (campaign.first_day, campaign.extension_until) == (date(2026, 1, 3), date(2026, 2, 8))
    assert campaign.daily_window.hard_stop == time(20)
    assert campaign.weekends_staffed
    assert campaign.avoid_weekdays == (4,)
    assert [limit.what for limit in campaign.limits[1:3]] == [LimitKind.NODES_OUT, LimitKind.WHOLE_BIG_CLUSTERS]
    assert campaign.limits[1].where.conditions == {"workload": {"api"}, "geo": {"US"}}
    assert campaign.limits[2].last_day == date(2026, 1, 18)
    assert campaign.limits[3].where.conditions == {"division": {"research", "applied"}}
    assert campaign.preferences[2:] == (
        OrderClasses(classes=("small research", "small applied", "big research", "big applied")),
        SpreadEvenly(where=Where(conditions={"division": frozenset({"applied"})}), over="geo"),
        AvoidWeekday(weekday=4),
    )
    assert campaign.return_threshold == 0.95


PHASES = """\
return_threshold: 0.95
phases:
  counts: [failed]
  bake_minutes: 30
  test: {false_stop: 0.01, missed_stop: 0.05, worse_factor: 4, worse_by: 0.05}
  stops: {first_failed: 2, of_first: 8, rack_failed: 5, rack_share: 0.75}
  on_failure: roll_back
  control: {max_fraction: 0.02, at_least: 12, bake_minutes: 120, decide_within_hours: 6, on_failure: hold}
"""


def test_phases_are_read_with_every_key(small):
    small.replace("campaign.yaml", "return_threshold: 0.95\n", PHASES)
    phases = read_campaign(small.path("campaign.yaml")).phases
    assert phases.full == GateTerms(
        counts=frozenset({Counted.FAILED}),
        bake=timedelta(minutes=30),
        test=SequentialTest(false_stop=0.01, missed_stop=0.05, worse_factor=4, worse_by=0.05),
        stops=HardStops(first_failed=2, of_first=8, rack_failed=5, rack_share=0.75),
        on_failure=OnFailure.ROLL_BACK,
    )
    assert phases.control is not None
    assert phases.control.max_fraction == 0.02
    gate = phases.control.gate
    assert (gate.at_least, gate.bake, gate.decide_within) == (12, timedelta(hours=2), timedelta(hours=6))
    assert (gate.on_failure, gate.test) == (OnFailure.HOLD, phases.full.test)


def test_campaign_without_phases_hashes_as_before_there_were_any(small):
    campaign = read_campaign(small.path("campaign.yaml"))
    assert campaign.phases == DEFAULT_PHASES
    assert "phases" not in to_plain(campaign)
    small.replace("campaign.yaml", "return_threshold: 0.95\n", "return_threshold: 0.95\nphases: {control: {}}\n")
    changed = read_campaign(small.path("campaign.yaml"))
    assert changed.phases.control == ControlPhase()
    assert content_sha256(changed) != content_sha256(campaign)


@pytest.mark.parametrize(
    ("phases", "field"),
    [
        ("{controll: {}}", "control"),
        ("{control: {max_fraction: 0.06}}", "max_fraction"),
        ("{control: {at_least: 0}}", "at_least"),
        ("{test: {false_stop: 0.6}}", "false_stop"),
        ("{stops: {first_failed: 9, of_first: 8}}", "of_first"),
        ("{counts: []}", "counts"),
        ("{counts: [failed, failed]}", "failed"),
        ("{on_failure: pray}", "on_failure"),
        ("{bake_minutes: -1}", "bake_minutes"),
        ("[]", "phases"),
    ],
)
def test_faults_of_phases_are_told_with_their_place(small, phases, field):
    small.replace("campaign.yaml", "return_threshold: 0.95\n", f"return_threshold: 0.95\nphases: {phases}\n")
    (fault,) = faults_of(lambda: read_campaign(small.path("campaign.yaml")))
    assert field in str(fault)


def test_campaign_may_list_its_updates_and_leave_out_what_is_optional(small):
    small.replace("campaign.yaml", "updates: {all_production_ready: true}", "updates: [nic-28.43]")
    small.replace("campaign.yaml", 'extension_until: "2026-02-08"\n', "")
    small.replace("campaign.yaml", 'planned_as_of: "2026-01-02T20:00:00Z"\n', "")
    campaign = read_campaign(small.path("campaign.yaml"))
    assert campaign.updates == {"nic-28.43"}
    assert campaign.extension_until == campaign.deadline
    assert campaign.planned_as_of is None


def test_times_may_stand_without_quotes(small):
    text = small.text("campaign.yaml").replace('"', "")
    before = read_campaign(small.path("campaign.yaml"))
    small.write("campaign.yaml", text)
    assert read_campaign(small.path("campaign.yaml")) == before


UPDATE_CASES = {  # what is there, what takes its place (§ before the fault), words of the sentence, nearest name
    "unknown key": ("rollback: forward_only", "§rollbak: forward_only", 'Key "rollbak"', "rollback"),
    "nothing near": ("rollback: inop", "§colour: red\n    rollback: inop", 'Key "colour"', None),
    "missing key": ("id: nic-28.43\n    title: NIC firmware", "§id: nic-28.43", 'Key "title" is missing', None),
    "wrong choice": ("impact: impactful", "impact: §impactfull", "impactless, impactful or rebootful", "impactful"),
    "unquoted version": ('to_version: "31.2016"', "to_version: §31.2016", 'in quotes, "31.2016"', None),
    "unquoted zero": ('to_version: "28.43"', "to_version: §28.40", 'in quotes, "28.40"', None),
    "unquoted truth": ("title: NIC firmware", "title: §yes", "in quotes", None),
    "empty version": ('to_version: "31.2016"', 'to_version: §""', "a version has", None),
    "unknown team": ("owner_team: host-os", "owner_team: §host-so", "not in teams", "host-os"),
    "unknown after": ("after: [nic-28.43]", "after: [§nic-28.34]", "does not exist", "nic-28.43"),
    "unknown conflict": ("with: [leaf-31.2016]", "with: [§leaf-31.2061]", "does not exist", "leaf-31.2016"),
    "conflict with itself": ("with: [leaf-31.2016]", "with: [§host-os-2026.1]", "itself", None),
    "naive time": ('"2025-12-10T00:00:00Z"', '§"2025-12-10T00:00:00"', "with its offset", None),
    "impossible day": ('"2025-12-10T00:00:00Z"', '§"2025-02-30T00:00:00Z"', "with its offset", None),
    "year out of range": ('"2025-12-10T00:00:00Z"', '§"9999-12-31T23:59:59-23:59"', "with its offset", None),
    "p90 below median": ("{p50: 15, p90: 22}", "{p50: 15, p90: §12}", "less than the median", None),
    "negative duration": ("{p50: 15, p90: 22}", "{p50: §-15, p90: 22}", "above 0", None),
    "duration as text": ("{p50: 15, p90: 22}", '{p50: §"15", p90: 22}', "must be a number", None),
    "infinite duration": ("{p50: 15, p90: 22}", "{p50: 15, p90: §.inf}", "must be a number", None),
    "isolation uncounted": ("isolation: {by: percent, at_once: 50}", "isolation: §{by: percent}", "at_once", None),
    "isolation over 100": ("{by: percent, at_once: 50}", "{by: percent, at_once: §101}", "from 1 to 100", None),
    "isolation for nothing": ("{by: none}", "{by: none, at_once: §3}", "no meaning", None),
    "idle team": ("{id: nic, at_once: 20}", "{id: nic, at_once: §0}", "from 1", None),
    "repeated team": (
        "{id: host-os, at_once: 12}",
        "{id: host-os, at_once: 12}\n  - {id: §nic, at_once: 1}",
        "on line 6",
        None,
    ),
    "repeated key": ("title: Host repave\n", "title: Host repave\n    §title: again\n", "already on line 40", None),
    "list for a mapping": ("applies_to: {}", "applies_to: §[]", "must be a mapping", None),
    "mapping for a list": ("after: [nic-28.43]", "after: §{nic: 1}", "is a mapping", None),
    "alias": ("after: [nic-28.43]", "after: [§*all, nic-28.43]", "alias", None),
    "anchor": ("applies_to: {}", "applies_to: §&all {}", "anchor", None),
    "tag": ("title: Host repave", "title: §!!str Host repave", "tag", None),
    "second document": ("teams:", "§---\nteams:", "second document", None),
    "not YAML": ("  - {id: nic, at_once: 20}", "  - {id: nic, at_once: 20§]", "Not valid YAML", None),
    "control character": ("title: Host repave", 'title: §"Host\\trepave"', "one line", None),
}

POLICY_CASES = {
    "wrong block": ("deployments: all", "deployments: §al", "all, impactful or none", "all"),
    "wrong criticality": ("[critical_security]", "[§critical_securty]", "critical_security", "critical_security"),
    "wrong role": ("allowed_roles: [test]", "allowed_roles: [§tset]", "test or prod", "test"),
    "no approvers": (
        "id: meridian\n    block: {deployments: none, repairs: all}\n    approvers: []",
        "§id: meridian\n    block: {deployments: none, repairs: all}",
        '"approvers" is missing',
        None,
    ),
    "negative notice": ("regular_update: 60", "regular_update: §-60", "from 0", None),
    "freeze backwards": ('"2026-01-14T', '§"2026-01-08T', "ends before", None),
    "freeze without scope": ("{rack: alpha-r1}", "§{}", "exactly one", None),
    "freeze of two scopes": ("{rack: alpha-r1}", "§{rack: alpha-r1, node: x}", "exactly one", None),
    "freeze of unknown level": ("{rack: alpha-r1}", "{§rak: alpha-r1}", 'Key "rak"', "rack"),
}

CAMPAIGN_CASES = {
    "unknown scope column": ("{sku: [H100", "{§skuu: [H100", 'Key "skuu"', "sku"),
    "node column in scope": ("scope: {sku: [H100, GB200]}", "scope: {§role: test}", 'Key "role"', None),
    "empty scope": ("scope: {sku: [H100, GB200]}", "scope: §{}", "mean everything", None),
    "empty list in scope": ("{sku: [H100, GB200]}", "{sku: §[]}", "matches nothing", None),
    "unknown zone": ("America/Los_Angeles", "§America/Los_Angelos", "Time zone", "America/Los_Angeles"),
    "deadline too early": ('deadline: "2026-01-18"', 'deadline: §"2026-01-02"', "before the first day", None),
    "extension too early": ('until: "2026-02-08"', 'until: §"2026-01-08"', "before the deadline", None),
    "extension too long": ('until: "2026-02-08"', 'until: §"2036-01-08"', "1000 days", None),
    "window backwards": ('back_in_service_by: "19:00"', 'back_in_service_by: §"10:00"', "later than the start", None),
    "stop before the end": ('hard_stop: "20:00"', 'hard_stop: §"18:00"', "not be earlier", None),
    "no such time": ('start: "11:00"', 'start: §"25:00"', "time of day", None),
    "weekends": ("weekends: staffed", "weekends: §stafed", "never or staffed", "staffed"),
    "weekday": ("avoid_weekdays: [friday]", "avoid_weekdays: [§fryday]", "monday", "friday"),
    "rolling backwards": ("max_fraction_per_day: 0.10", "max_fraction_per_day: §0.01", "not be less", None),
    "fraction over one": ("return_threshold: 0.95", "return_threshold: §95", "at most 1", None),
    "fraction of zero": ("at_once_fraction: 0.21", "at_once_fraction: §0.0", "above 0", None),
    "unknown limit": ("what: nodes_out, at_once:", "what: §node_out, at_once:", "nodes_out", "nodes_out"),
    "limit without size": ("{what: nodes_out, at_once: 1800}", "§{what: nodes_out}", "exactly one", None),
    "limit of two sizes": (
        "{what: nodes_out, at_once: 1800",
        "§{what: nodes_out, at_once: 1800, at_once_fraction: 0.1",
        "exactly one",
        None,
    ),
    "key of another limit": ("at_once: 1800", "at_once: 1800, until: §2026-01-18", "has no until", None),
    "limit days backwards": ('until: "2026-01-18"', 'from: "2026-01-19", until: §"2026-01-18"', "before from", None),
    "unknown where column": ("workload: api", "§workloud: api", 'Key "workloud"', "workload"),
    "node column for windows": ("{division: [research, applied]}", "{§role: test}", 'Key "role"', None),
    "unknown preference": ("- fewest_windows", "- §fewest_window", "no preference", "fewest_windows"),
    "unknown preference key": ("{avoid: friday}", "{§avoyd: friday}", 'Key "avoyd"', "avoid"),
    "wrong class": ("small applied, big", "§smal applied, big", "small applied", "small applied"),
    "repeated class": ("small applied, big", "§small research, big", "already on line 23", None),
    "spread over something else": ("over: geo", "over: §region", "must be geo", None),
    "repeated preference": ("- fewest_windows", "- §finish_by_deadline", "above already", None),
    "not all": ("all_production_ready: true", "all_production_ready: §false", "must be true", None),
    "no updates": ("updates: {all_production_ready: true}", "updates: §[]", "No update", None),
}


def cases():
    for file, table in (
        ("updates.yaml", UPDATE_CASES),
        ("policy.yaml", POLICY_CASES),
        ("campaign.yaml", CAMPAIGN_CASES),
    ):
        for name, case in table.items():
            yield pytest.param((file, *case), id=f"{file}: {name}")


@pytest.mark.parametrize("case", list(cases()))
def test_each_slip_is_one_fault_with_its_place_and_nearest_name(small, refused, case):
    file, old, new, words, suggestion = case
    path = small.replace(file, old, new)
    before, _, after = path.read_text().partition("§")
    path.write_text(before + after)
    (fault,) = refused(lambda: READERS[file](path))
    assert words in str(fault)
    assert (fault.line, fault.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert (fault.suggestion, fault.file) == (suggestion, str(path))


def test_a_cycle_is_named_once(small, refused):
    small.replace("updates.yaml", "    isolation: {by: percent, at_once: 50}\n", "    after: [host-os-2026.1]\n")
    (fault,) = refused(lambda: read_updates(small.path("updates.yaml")))
    assert "host-os-2026.1 -> nic-28.43 -> host-os-2026.1" in fault.sentence
    assert fault.field == "updates[2].after"


def test_an_update_after_itself_is_a_cycle(small, refused):
    small.replace("updates.yaml", "after: [nic-28.43]", "after: [host-os-2026.1]")
    (fault,) = refused(lambda: read_updates(small.path("updates.yaml")))
    assert "host-os-2026.1 -> host-os-2026.1" in fault.sentence


def test_two_production_ready_updates_to_one_version_are_named(small, refused):
    small.replace("updates.yaml", 'to_version: "2026.2.0"', 'to_version: "2026.01.0"')
    assert read_updates(small.path("updates.yaml"))
    small.replace("updates.yaml", "stage: flight_ready", "stage: production_ready")
    (fault,) = refused(lambda: read_updates(small.path("updates.yaml")))
    assert "host-os-2026.2-rc and host-os-2026.1 are both production-ready" in fault.sentence


def test_thirty_faults_of_one_file_are_thirty(small, refused):
    entry = "  - {{id: t{0}, at_once: none}}\n"
    small.replace("updates.yaml", "teams:\n", "teams:\n" + "".join(entry.format(i) for i in range(30)))
    faults = refused(lambda: read_updates(small.path("updates.yaml")))
    assert [f.line for f in faults] == list(range(6, 36))


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "null\n", "[]\n", "text\n", "[" * 5000, "{a: " * 5000, "- " * 5000]
)
@pytest.mark.parametrize("file", READERS)
def test_what_is_no_such_document_is_refused(small, refused, file, text):
    path = small.write(file, text)
    assert refused(lambda: READERS[file](path))
