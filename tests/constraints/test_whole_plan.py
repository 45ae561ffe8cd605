"""What holds for the plan as a whole: its shape, its objective, its inputs, and the list of rules itself."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from tests.constraints import world as w
from tests.unit.planning import bench as b

from fermata.domain.campaign import AvoidWeekday, FewestWindows, FinishByDeadline, OrderClasses, SpreadEvenly, Where
from fermata.domain.ids import CampaignId, UpdateId, WindowId
from fermata.domain.pending import has_work
from fermata.domain.plan_codes import PlanCode
from fermata.domain.plans import InputHashes, Plan
from fermata.domain.reasons import Code
from fermata.domain.updates import Impact
from fermata.planning.checker import build_case, check_case, check_hashes, list_rules
from fermata.planning.scores import score

ROOT = Path(__file__).parents[2]
ELSEWHERE = timezone(timedelta(hours=1))


def with_first(plan: Plan, **fields: object) -> Plan:
    """The plan with fields of alpha's window replaced."""
    return replace(plan, windows=(replace(plan.windows[0], **fields), *plan.windows[1:]))  # type: ignore[arg-type]


def with_term(plan: Plan, index: int, **fields: float) -> Plan:
    terms = list(plan.objective)
    terms[index] = replace(terms[index], **fields)  # type: ignore[arg-type]
    return replace(plan, objective=tuple(terms))


CASES: list[tuple[str, Callable[[Plan], Plan], str]] = [
    ("another campaign", lambda x: replace(x, campaign=CampaignId("other")), "PLAN_SHAPE"),
    ("created in local time", lambda x: replace(x, created_at=x.created_at.astimezone(ELSEWHERE)), "PLAN_SHAPE"),
    ("start in local time", lambda x: with_first(x, start=x.windows[0].start.astimezone(ELSEWHERE)), "PLAN_SHAPE"),
    ("id twice", lambda x: with_first(x, id=WindowId("w-gamma")), "PLAN_SHAPE"),
    ("nodes unsorted", lambda x: with_first(x, nodes=x.windows[0].nodes[::-1]), "PLAN_SHAPE"),
    ("late node-days forgotten", lambda x: with_term(x, 0, value=0), "OBJECTIVE_VALUES"),
    ("a share made smaller", lambda x: with_term(x, 3, value=0.9), "OBJECTIVE_VALUES"),
    ("terms out of order", lambda x: replace(x, objective=x.objective[::-1]), "OBJECTIVE_VALUES"),
    ("no objective", lambda x: replace(x, objective=()), "OBJECTIVE_VALUES"),
    ("better than its bound", lambda x: with_term(x, 1, bound=6), "OBJECTIVE_BOUNDS"),
    ("bound below nothing", lambda x: with_term(x, 1, bound=-1), "OBJECTIVE_BOUNDS"),
    ("bound that is no number", lambda x: with_term(x, 1, bound=float("nan")), "OBJECTIVE_BOUNDS"),
]


@pytest.mark.parametrize(("spoil", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_spoilt_plan_is_faulted_by_exactly_its_rule(spoil: Callable[[Plan], Plan], expected: str) -> None:
    inputs = w.scenario()
    assert w.faults(inputs, spoil(w.plan(inputs, w.windows(inputs)))) == {expected}


def test_intervals_that_are_empty_or_backwards_are_faulted() -> None:
    inputs = w.scenario()
    built = w.plan(inputs, w.windows(inputs))
    window = built.windows[0]
    assert "PLAN_SHAPE" in w.faults(inputs, with_first(built, end=window.start))
    backwards = w.edit(window, w.applies("agent"), end=window.start)
    assert "PLAN_SHAPE" in w.faults(inputs, w.plan(inputs, w.swap(built.windows, backwards)))


def test_terms_have_the_value_that_a_hand_count_gives() -> None:
    inputs = w.scenario()
    case, built = build_case(inputs), w.plan(inputs, w.windows(inputs))
    classes = ("big research", "big applied")
    everywhere = SpreadEvenly(where=Where(), over="geo")
    by_cluster = SpreadEvenly(where=Where(conditions={"cluster": frozenset({"beta"})}), over="geo")
    assert score(case, built, FinishByDeadline()) == 2  # beta's last two nodes, one day late
    assert score(case, built, FewestWindows()) == 5
    assert score(case, built, OrderClasses(classes=classes)) == 2  # alpha and beta's first part before gamma
    assert score(case, built, OrderClasses(classes=classes[::-1])) == 2  # gamma before beta's other two
    assert score(case, built, everywhere) == 1.0  # all of EU on Tuesday, nothing on Saturday
    assert score(case, built, by_cluster) == pytest.approx(0.4)
    assert score(case, built, AvoidWeekday(weekday=1)) == 2
    assert score(case, built, AvoidWeekday(weekday=4)) == 0


def test_the_case_sees_the_same_work_as_everybody_else() -> None:
    case = build_case(w.scenario())
    for cluster in case.in_scope:
        nodes = case.fleet.nodes_by_cluster[cluster]
        assert case.working_in(cluster) == {node.name for node in nodes if has_work(case.fleet, case.pending, node)}


def test_only_the_updates_of_the_campaign_are_asked_for() -> None:
    inputs = w.scenario(campaign=w.campaign(updates=frozenset({UpdateId("agent")})))
    whole = {name: w.names(inputs, name) for name in ("alpha", "gamma")}
    made = [w.window(inputs, f"w-{name}", nodes, w.MONDAY, stages=("agent",)) for name, nodes in whole.items()]
    left = w.unplanned(inputs, w.names(inputs, "beta"), Code.NO_ROOM)
    assert w.faults(inputs, w.plan(inputs, made, (left,))) == set()
    assert w.faults(inputs, w.plan(inputs, w.windows(inputs))) >= {"BATCHES", "DEVICES_APPLIED"}


def test_changed_inputs_are_refused_by_name() -> None:
    inputs = w.scenario()
    built = w.plan(inputs, w.windows(inputs))
    assert check_hashes(built, InputHashes(fleet="f", updates="u", policy="p", campaign="c")) is None
    refusal = check_hashes(built, InputHashes(fleet="g", updates="u", policy="q", campaign="c"))
    assert refusal is not None
    assert refusal.code is PlanCode.PLAN_INPUTS_CHANGED
    assert "fleet, policy" in refusal.sentence


def test_asking_for_a_window_that_is_not_there_is_no_pass() -> None:
    inputs = w.scenario()
    with pytest.raises(KeyError, match="w-ghost"):
        check_case(build_case(inputs), w.plan(inputs, []), only=frozenset({WindowId("w-ghost")}))


def test_every_rule_names_its_file_and_stands_in_the_docs() -> None:
    documented = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    files = {path.stem for path in (ROOT / "src" / "fermata" / "planning" / "constraints").glob("[a-z]*.py")}
    assert {rule.code for rule in list_rules()} == {name.upper() for name in files}
    for rule in list_rules():
        assert rule.sentence.endswith((".", ":")), rule.code
        assert f"| `{rule.code}` | {rule.sentence} |" in documented, rule.code


def test_every_rule_has_a_spoilt_plan_in_these_tests() -> None:
    told = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [rule.code for rule in list_rules() if f'"{rule.code}"' not in told] == []


def test_nodes_behind_a_device_that_alone_has_work_stand_in_unplanned_with_that_reason() -> None:
    manager = b.make_update("mgr", "mgr_fw", 5, Impact.IMPACTLESS, target="mgr")
    cluster = b.make_cluster("alpha")
    nodes = [replace(node, versions={"nic_fw": b.NEW}) for node in b.make_nodes(cluster, [2, 2])]
    fleet = b.make_fleet([cluster], nodes, [b.make_device("alpha", "mgr", "alpha-r0")])
    inputs = b.make_inputs(fleet, b.make_catalogue(manager), b.make_campaign())
    made = b.planned(inputs)
    (left,) = made.unplanned
    assert (left.reason.code, left.nodes) == (Code.ONLY_ON_DEVICE, tuple(n.name for n in nodes[:2]))
    assert w.faults(inputs, replace(made, unplanned=())) == {"NODES_COVERED"}
    everyone = replace(left, nodes=tuple(node.name for node in nodes))
    assert w.faults(inputs, replace(made, unplanned=(everyone,))) == {"NODES_IN_SCOPE", "UNPLANNED_REASON"}
