"""A customer's own rules and windows in policy.yaml: what is read, and where each slip is told."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from fermata.domain.fleet import Role
from fermata.domain.hashing import content_sha256
from fermata.domain.policy import AfterDue, MaintenanceKind, PolicyRule, Scope, ScopeLevel, Stance
from fermata.domain.recurrence import MonthlyWeekday, Recurrence, RecurringWindow, Unit
from fermata.domain.updates import Criticality, Impact
from fermata.formats.policy import read_policy
from fermata.store.codec import from_json, to_json

OWN = """\
customers:
  - id: lumen
    block: {deployments: all, repairs: impactful}
    approvers: [lumen-capacity]
    after_due: proceed
    windows:
      - {id: nights, start: "2026-01-01 22:00", duration: "06:00", timezone: Europe/Paris, recur_every: "Day"}
      - id: sundays
        start: "2026-01-01 08:30"
        duration: "12:00"
        timezone: America/New_York
        recur_every: "Month Last Sunday Offset-1"
        expires: "2027-01-01 00:00"
    rules:
      - {id: test-nodes, impact: impactless, role: test, stance: allow}
      - id: alpha-nights
        kind: [deployment, repair]
        scope: {cluster: alpha}
        stance: allow_in_windows
        windows: [nights]
      - {id: livesite, criticality: critical_livesite, stance: block}
"""


def test_rules_and_windows_are_read_with_every_key(small):
    small.write("policy.yaml", OWN)
    lumen = read_policy(small.path("policy.yaml")).customers["lumen"]
    assert lumen.after_due is AfterDue.PROCEED
    assert lumen.windows[0] == RecurringWindow(
        id="nights",
        start=datetime(2026, 1, 1, 22),  # noqa: DTZ001  # a wall time
        duration=timedelta(hours=6),
        zone="Europe/Paris",
        recurrence=Recurrence(unit=Unit.DAY),
    )
    last_sunday = MonthlyWeekday(ordinal=-1, weekday=6, offset_days=-1)
    assert lumen.windows[1].recurrence == Recurrence(unit=Unit.MONTH, by_weekday=last_sunday)
    assert lumen.windows[1].expires == datetime(2027, 1, 1)  # noqa: DTZ001
    assert lumen.rules == (
        PolicyRule(
            id="test-nodes",
            stance=Stance.ALLOW,
            impacts=frozenset({Impact.IMPACTLESS}),
            roles=frozenset({Role.TEST}),
        ),
        PolicyRule(
            id="alpha-nights",
            stance=Stance.ALLOW_IN_WINDOWS,
            kinds=frozenset({MaintenanceKind.DEPLOYMENT, MaintenanceKind.REPAIR}),
            scope=Scope(level=ScopeLevel.CLUSTER, name="alpha"),
            windows=("nights",),
        ),
        PolicyRule(id="livesite", stance=Stance.BLOCK, criticalities=frozenset({Criticality.CRITICAL_LIVESITE})),
    )


def test_a_stored_policy_comes_back_as_it_was(small):
    small.write("policy.yaml", OWN)
    policy = read_policy(small.path("policy.yaml"))
    assert from_json(type(policy), to_json(policy)) == policy


def test_a_policy_without_rules_keeps_the_hash_it_had_before_there_were_any(small):
    policy = read_policy(small.path("policy.yaml"))
    lumen = policy.customers["lumen"]
    bare = {name: getattr(lumen, name) for name in ("id", "deployments", "repairs", "except_criticality", "approvers")}
    assert content_sha256(lumen) == content_sha256(bare | {"flighting": lumen.flighting})
    assert content_sha256(replace(lumen, after_due=AfterDue.PROCEED)) != content_sha256(lumen)


SLIPS = {  # what is there, what takes its place (§ before the fault), words of the sentence, nearest name
    "unknown key": ("role: test", "§rolle: test", 'Key "rolle"', "role"),
    "unknown stance": ("stance: block", "stance: §blok", "block, needs_approval, allow_in_windows or allow", "block"),
    "no stance": (", stance: block}", "}", 'Key "stance" is missing', None),
    "unknown kind": ("[deployment, repair]", "[§deploymnt, repair]", "deployment, repair", "deployment"),
    "repeated kind": ("[deployment, repair]", "[repair, §repair]", "stands already", None),
    "repeated rule": ("{id: livesite", "{id: §test-nodes", "stands already", None),
    "unknown window": ("windows: [nights]", "windows: §[night]", 'no window "night"', "nights"),
    "windows without need": ("stance: allow}", "stance: allow, windows: §[nights]}", "Only", None),
    "scope of two levels": ("{cluster: alpha}", "§{cluster: alpha, node: x}", "exactly one", None),
    "contradiction": (
        "{id: livesite, criticality: critical_livesite",
        "{id: §livesite, scope: {cluster: alpha}, kind: repair",
        'contradicts "alpha-nights"',
        None,
    ),
    "everything let through": ("impact: impactless, role: test, stance: ", "stance: §", "names no work", None),
    "everything let through by empty lists": (
        "kind: [deployment, repair]\n        scope: {cluster: alpha}\n        stance: ",
        "kind: []\n        impact:\n        stance: §",
        "kind: [deployment, repair, decommission]",
        None,
    ),
    "no such recurrence": ('recur_every: "Day"', 'recur_every: §"Fortnight"', "Day, Week or Month", None),
    "start with an offset": ('"2026-01-01 22:00"', '§"2026-01-01T22:00Z"', "local time", None),
    "no such day": ('"2026-01-01 22:00"', '§"2026-02-30 22:00"', "local time", None),
    "no time at all": ('duration: "06:00"', 'duration: §"00:00"', "hours and minutes", None),
    "too long": ('duration: "06:00"', 'duration: §"200:00"', "hours and minutes", None),
    "no such zone": ("Europe/Paris", "§Europe/Pariss", "does not exist", "Europe/Paris"),
    "over before it begins": ('expires: "2027', 'expires: §"2025', "expires before", None),
    "unknown way on": ("after_due: proceed", "after_due: §procede", "escalate or proceed", "proceed"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(SLIPS))
def test_each_slip_is_one_fault_with_its_place_and_nearest_name(small, refused, name):
    old, new, words, suggestion = SLIPS[name]
    small.write("policy.yaml", OWN)
    path = small.replace("policy.yaml", old, new)
    before, mark, after = path.read_text().partition("§")
    path.write_text(before + after)
    (fault,) = refused(lambda: read_policy(path))
    assert words in str(fault)
    assert fault.suggestion == suggestion
    if mark:
        assert (fault.line, fault.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))


@pytest.mark.parametrize(
    "rule", ["stance: block", "stance: needs_approval", "kind: [deployment, repair, decommission], stance: allow"]
)
def test_a_rule_for_everything_is_read_when_it_holds_all_back_or_says_that_all_is_meant(small, rule):
    small.write("policy.yaml", OWN)
    own = small.replace("policy.yaml", "criticality: critical_livesite, stance: block", rule)
    *_, last = read_policy(own).customers["lumen"].rules
    assert last.id == "livesite"


def test_windows_only_without_windows_is_refused(small, refused):
    text = OWN[: OWN.index("    windows:\n")] + OWN[OWN.index("    rules:\n") :]
    small.write("policy.yaml", text.replace("        windows: [nights]\n", ""))
    (fault,) = refused(lambda: read_policy(small.path("policy.yaml")))
    assert "needs windows" in fault.sentence
