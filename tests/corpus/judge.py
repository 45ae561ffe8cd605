"""Compares what the planner makes of a scenario with what its story expects; every difference is one sentence."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.corpus.expand import OBSERVED, Story, instant

from fermata.domain.plans import DeviceApplyStep, NodeApplyStep, Plan, Step, Window
from fermata.domain.windows import calendar_day
from fermata.formats.campaign import ROOT_OPTIONAL, ROOT_REQUIRED
from fermata.formats.changes import Change, parse_change
from fermata.formats.faults import BadInput
from fermata.formats.observed import Subject, read_observed
from fermata.formats.scenario import input_hashes, read_scenario
from fermata.planning.checker import check_plan
from fermata.planning.inputs import Infeasible, Planned, PlanningInput
from fermata.planning.planner import plan_campaign
from fermata.planning.replan_refuse import ParentRefused
from fermata.planning.what_if import compare_plans

Expected = Mapping[str, Any]
Outcome = Planned | Infeasible | BadInput | ParentRefused
NOTHING_ASKED: Expected = MappingProxyType({})
WINDOW_KEYS = ("cluster", "day", "start", "end", "nodes", "mode", "part", "parts", "reboots", "updates")
PLAN_KEYS = ("windows", "days", "unplanned", "objective", "order", "apart", "most_at_once", "moves", "verdict")


def replay_act(act: Story, folder: Path, before: Plan | None) -> Outcome:
    """What comes of one act. One with `as_of` plans again, following the plan of the act before."""
    changes = [parse_change(text, keys=(*ROOT_REQUIRED, *ROOT_OPTIONAL)) for text in act.get("what_if", ())]
    if "as_of" not in act:
        return replay(folder, act.get("asked", NOTHING_ASKED), changes)
    assert before is not None, "an act that plans again follows one with a plan"
    as_of = datetime.fromisoformat(instant(act["as_of"]))
    try:
        return replay(folder, {"parent": before, "now": as_of, **act.get("asked", {})}, changes)
    except ParentRefused as refused:
        return refused


def replay(folder: Path, asked: Expected = NOTHING_ASKED, changes: Sequence[Change] = ()) -> Outcome:
    """What comes of the files in `folder`; `asked` is what is chosen beside them, as fields of PlanningInput. A plan
    has passed the checker once more.
    """
    try:
        scenario = read_scenario(folder, changes)
    except BadInput as refused:
        return refused
    now = scenario.campaign.planned_as_of
    assert now is not None, "every story has a now"
    inputs = PlanningInput(
        fleet=scenario.fleet,
        catalogue=scenario.catalogue,
        policy=scenario.policy,
        campaign=scenario.campaign,
        ledger=scenario.ledger,
        workloads=scenario.workloads,
        **{"now": now, **asked},
    )
    hashes = input_hashes(scenario)
    if inputs.parent is not None and (folder / OBSERVED).exists():
        subject = Subject(parent=inputs.parent, fleet=inputs.fleet, catalogue=inputs.catalogue, as_of=inputs.now)
        try:
            seen = read_observed(folder / OBSERVED, subject)
        except BadInput as refused:
            return refused
        inputs = replace(inputs, observed=replace(seen, in_inventory=hashes.fleet != inputs.parent.inputs.fleet))
    name = "plan_1" if inputs.parent is None else f"{inputs.parent.id}_again"
    outcome = plan_campaign(inputs, new_plan_id=name, hashes=hashes)
    if isinstance(outcome, Planned):
        assert check_plan(inputs, outcome.plan) == ()
    return outcome


def exit_code(outcome: Outcome) -> int:
    """What the command line answers."""
    match outcome:
        case Planned():
            return 0
        case ParentRefused():
            return 1
        case BadInput():
            return 2
        case Infeasible():
            return 3


def find_differences(outcome: Outcome, expected: Expected, *, zone: str) -> list[str]:
    """Empty when all is as the story says; days are those of `zone`."""
    asked = expected.get("exit", 0)
    if exit_code(outcome) != asked:
        return [f"exit code {exit_code(outcome)}, expected {asked}: {outcome}"]
    match outcome:
        case Planned(plan=plan):
            unread = set(expected) - {"exit", *PLAN_KEYS}
            found = [*_of_plan(plan, expected, zone), *_of_steps(plan, expected), *_of_moves(outcome, expected)]
        case Infeasible(clashes=clashes, relaxations=relaxations):
            unread = set(expected) - {"exit", "clashes", "relaxations", "says"}
            rules = sorted(clash.rule for clash in clashes)
            told = [change.sentence for change in relaxations]
            found = [*_differ("clashes", rules, sorted(expected["clashes"])), *_lack(told, expected["relaxations"])]
            found += _lack([clash.sentence for clash in clashes], expected.get("says", ()))
        case ParentRefused(reason=why):
            unread = set(expected) - {"exit", "code", "says"}
            found = [*_differ("code", why.code.value, expected["code"]), *_lack([why.sentence], expected["says"])]
        case BadInput():
            unread = set(expected) - {"exit", "faults"}
            found = _differ("faults", outcome.total, len(expected["faults"]))
            found += _lack([str(fault) for fault in outcome.faults], expected["faults"])
    return found + [f"{key} means nothing where the exit code is {asked}" for key in sorted(unread)]


def _differ(what: str, found: object, expected: object) -> list[str]:
    return [] if found == expected else [f"{what}: {found}, expected {expected}"]


def _lack(told: Sequence[str], fragments: Iterable[str]) -> list[str]:
    return [f"nothing says {part!r}: {list(told)}" for part in fragments if not any(part in each for each in told)]


def _of_plan(plan: Plan, expected: Expected, zone: str) -> Iterator[str]:
    for key, told in sorted(expected.get("objective", {}).items()):
        value, bound = told if isinstance(told, list) else (told, told)
        terms = [(round(t.value, 6), round(t.bound, 6)) for t in plan.objective if t.term == key]
        yield from _differ(f"value and bound of {key}", terms, [(value, bound)])
    days = Counter(str(calendar_day(window.start, zone)) for window in plan.windows)
    if "days" in expected:
        yield from _differ("windows a day", dict(sorted(days.items())), dict(sorted(expected["days"].items())))
    if "windows" in expected:
        yield from _of_windows(plan.windows, expected["windows"], zone)
    left_out: Counter[tuple[str, str]] = Counter()
    for group in plan.unplanned:
        left_out[group.cluster, str(group.reason.code)] += len(group.nodes)
    told = expected.get("unplanned", [])
    yield from _differ("unplanned", dict(left_out), {(each["cluster"], each["reason"]): each["nodes"] for each in told})
    sentences = [group.reason.sentence for group in plan.unplanned]
    yield from _lack(sentences, [each["says"] for each in told if "says" in each])


def _of_moves(outcome: Planned, expected: Expected) -> Iterator[str]:
    """Each change of a re-plan, in any order: what it is, the windows it was and is, the code of its cause."""
    if "moves" in expected:
        changes = outcome.diff.changes if outcome.diff is not None else ()
        told = [(x.change.value, [w.id for w in x.was], [w.id for w in x.now], x.cause.code.value) for x in changes]
        wanted = [(x["change"], x.get("was", []), x.get("now", []), x["cause"]) for x in expected["moves"]]
        yield from _differ("moves", sorted(told), sorted(wanted))
        yield from _lack([x.cause.sentence for x in changes], [x["says"] for x in expected["moves"] if "says" in x])


def compare(before: Plan, after: Plan, expected: Expected, *, zone: str) -> list[str]:
    """Differences in how the plan of a what-if is judged beside the one of the act before."""
    verdict = compare_plans((), before, after, zone).verdict
    return _differ("verdict", verdict.value, expected["verdict"])


def _of_windows(windows: Sequence[Window], expected: Sequence[Expected], zone: str) -> Iterator[str]:
    """Each window is as one of the expected ones; what an expectation leaves out is not compared."""
    free = [_describe(window, zone) for window in windows]
    for told in expected:
        wanted = {key: _plain(key, value) for key, value in told.items()}
        fitting = next((each for each in free if wanted.items() <= each.items()), None)
        if fitting is None:
            yield f"no window is {wanted}; there are {free}"
        else:
            free.remove(fitting)
    if free and len(windows) > len(expected):
        yield f"{len(windows)} windows, expected {len(expected)}: {free} too many"


def _plain(key: str, value: Any) -> Any:
    assert key in WINDOW_KEYS, f"a window has no {key}"
    return instant(value) if key in ("start", "end") else tuple(value) if key == "updates" else value


def _describe(window: Window, zone: str) -> dict[str, Any]:
    return {
        "cluster": window.cluster,
        "day": str(calendar_day(window.start, zone)),
        "start": f"{window.start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "end": f"{window.end.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "nodes": len(window.nodes),
        "mode": str(window.mode),
        "part": window.part,
        "parts": window.parts,
        "reboots": window.reboots_per_node,
        "updates": tuple(window.updates),
    }


def _of_steps(plan: Plan, expected: Expected) -> Iterator[str]:
    """`order` and `apart` are about the one window of a plan; `most_at_once` counts over all."""
    for first, then in expected.get("order", ()):
        last, earliest = max(s.end for s in _applies(plan, first)), min(s.start for s in _applies(plan, then))
        if last > earliest:
            yield f"{first} ends at {last}, {then} starts at {earliest}"
    for one, other in expected.get("apart", ()):
        if any(a.start < b.end and b.start < a.end for a in _applies(plan, one) for b in _applies(plan, other)):
            yield f"{one} and {other} overlap"
    for update, most in expected.get("most_at_once", {}).items():
        yield from _differ(f"at once of {update}", _peak(_applies(plan, update)), most)


def _applies(plan: Plan, update: str) -> list[NodeApplyStep | DeviceApplyStep]:
    steps: list[Step] = [step for window in plan.windows for step in window.steps]
    return [s for s in steps if isinstance(s, NodeApplyStep | DeviceApplyStep) and s.update == update]


def _peak(steps: Sequence[NodeApplyStep | DeviceApplyStep]) -> int:
    """The most units under work at any instant."""
    units = [(step, step.nodes if isinstance(step, NodeApplyStep) else len(step.devices)) for step in steps]
    starts: list[datetime] = [step.start for step in steps]
    return max(sum(n for step, n in units if step.start <= at < step.end) for at in starts)
