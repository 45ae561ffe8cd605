"""However a valid plan is spoilt, the checker faults it whenever a brute-force restatement of the rules does."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.constraints import world as w

from fermata.domain.campaign import Limit, LimitKind, Where
from fermata.domain.fleet import Node
from fermata.domain.ids import NodeId, TeamId
from fermata.domain.pending import find_pending, has_work
from fermata.domain.plans import NodeApplyStep, Plan, Step, Window

MINUTE = timedelta(minutes=1)
ROOM = timedelta(hours=8)
API = Where(conditions={"workload": frozenset({"api"})})
LIMITS = (
    Limit(what=LimitKind.NODES_OUT, at_once=10),
    Limit(what=LimitKind.NODES_OUT, at_once_fraction=0.5, where=API),  # 5 of 11
    Limit(what=LimitKind.CLUSTER_WINDOWS, at_once=1),
    Limit(what=LimitKind.WHOLE_BIG_CLUSTERS, per_day=1),
)
NIC_AT_ONCE = 8
CATALOGUE = replace(w.catalogue(), team_limits={TeamId("team-nic"): NIC_AT_ONCE})
INPUTS = w.scenario(campaign=w.campaign(limits=LIMITS), catalogue=CATALOGUE)
VALID = w.plan(INPUTS, w.windows(INPUTS))
NAMES = sorted(INPUTS.fleet.nodes)


@dataclass(frozen=True)
class Spoiling:
    """One thing done to one window; `step` and `node` are taken modulo what there is."""

    kind: str
    window: int
    step: int
    node: int
    minutes: int


spoilings = st.builds(
    Spoiling,
    kind=st.sampled_from(["move", "drop node", "add node", "swap steps", "shrink step", "shift step", "drop step"]),
    window=st.integers(0, 4),
    step=st.integers(0, 12),
    node=st.integers(0, len(NAMES) - 1),
    minutes=st.one_of(st.integers(-10, 10), st.integers(-4000, 4000)),
)


def spoil(windows: Sequence[Window], how: Spoiling) -> list[Window]:
    window = windows[how.window]
    index = how.step % len(window.steps)
    step, by = window.steps[index], how.minutes * MINUTE
    match how.kind:
        case "move":
            window = w.move(window, by)
        case "drop node":
            gone = window.nodes[how.node % len(window.nodes)]
            window = replace(window, nodes=tuple(name for name in window.nodes if name != gone))
        case "add node":
            window = replace(window, nodes=tuple(sorted({*window.nodes, NodeId(NAMES[how.node])})))
        case "swap steps":
            other = window.steps[how.node % len(window.steps)]
            swapped = {index: at(step, other), how.node % len(window.steps): at(other, step)}
            window = replace(window, steps=tuple(swapped.get(i, s) for i, s in enumerate(window.steps)))
        case "shrink step":
            window = w.edit(window, lambda s: s is step, end=step.start + (step.end - step.start) / 2)
        case "shift step":
            window = w.shift(window, lambda s: s is step, by)
        case "drop step":
            window = w.drop(window, lambda s: s is step)
    return w.swap(windows, window)


def at(step: Step, place: Step) -> Step:
    return replace(step, start=place.start, end=place.start + (step.end - step.start))


def instants(plan: Plan) -> set[datetime]:
    """Counts change only where something starts: nothing between can be worse."""
    return {window.start for window in plan.windows} | {s.start for window in plan.windows for s in window.steps}


def out_at(plan: Plan, instant: datetime) -> list[Node]:
    open_windows = (window for window in plan.windows if window.start <= instant < window.end)
    found = {name for window in open_windows for name in window.nodes}
    return [INPUTS.fleet.nodes[name] for name in found]


def breaks_a_limit(plan: Plan) -> Iterator[str]:
    for instant in instants(plan):
        out = out_at(plan, instant)
        if len(out) > 10:
            yield "NODES_OUT"
        if sum(node.workload == "api" for node in out) > 5:
            yield "NODES_OUT_SHARE"
        if sum(window.start <= instant < window.end for window in plan.windows) > 1:
            yield "CLUSTER_WINDOWS"
        steps = [s for x in plan.windows for s in x.steps if isinstance(s, NodeApplyStep) and s.update == "nic"]
        if sum(step.nodes for step in steps if step.start <= instant < step.end) > NIC_AT_ONCE:
            yield "TEAM_LIMIT"
    days = Counter((x.start - timedelta(hours=8)).date() for x in plan.windows if x.id in ("w-alpha", "w-gamma"))
    if any(count > 1 for count in days.values()):
        yield "BIG_CLUSTERS_PER_DAY"


def breaks_coverage(plan: Plan) -> Iterator[str]:
    pending = find_pending(INPUTS.fleet, INPUTS.catalogue)
    places = Counter(name for window in plan.windows for name in window.nodes)
    for node in INPUTS.fleet.nodes.values():
        wanted = node.cluster != "omega" and has_work(INPUTS.fleet, pending, node)
        if wanted and places[node.name] != 1:
            yield "NODES_COVERED"
        if places[node.name] and not wanted:
            yield "NODES_IN_SCOPE"


def breaks_time(plan: Plan) -> Iterator[str]:
    for window in plan.windows:
        opens = datetime.combine((window.start - 8 * 60 * MINUTE).date(), w.MONDAY.timetz())
        if window.start < opens or window.end > opens + ROOM:
            yield "DAILY_WINDOW"
        if any(step.start < window.start or step.end > window.end for step in window.steps):
            yield "STEPS_IN_WINDOW"
        if any(step.step == "drain" and step.end - step.start < 2 * MINUTE for step in window.steps):
            yield "STEP_LENGTH"
        if not any(step.step == "verify" for step in window.steps):
            yield "VERIFY_LAST"
        if not any(step.step == "drain" for step in window.steps):
            yield "DRAIN_FIRST"


RESTATEMENTS: tuple[Callable[[Plan], Iterator[str]], ...] = (breaks_a_limit, breaks_coverage, breaks_time)


@settings(max_examples=300, deadline=None)
@given(st.lists(spoilings, min_size=1, max_size=3))
def test_no_spoilt_plan_passes_when_it_breaks_a_rule(done: list[Spoiling]) -> None:
    windows: Sequence[Window] = VALID.windows
    for how in done:
        if windows[how.window].nodes and windows[how.window].steps:
            windows = spoil(windows, how)
    spoilt = w.plan(INPUTS, windows)
    broken = {code for restated in RESTATEMENTS for code in restated(spoilt)}
    assert broken <= w.faults(INPUTS, spoilt)


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(5)), st.lists(st.integers(0, 380), min_size=5, max_size=5))
def test_plans_that_keep_every_rule_pass(order: list[int], minutes: list[int]) -> None:
    """Windows moved within their day, in any order in the file, stay valid where they do not meet."""
    latest = {"w-beta-1": 24}  # gamma starts an hour after it
    moved = [
        w.move(window, min(by, latest.get(window.id, by)) * MINUTE)
        for window, by in zip(VALID.windows, minutes, strict=True)
    ]
    assert w.faults(INPUTS, w.plan(INPUTS, [moved[index] for index in order])) == set()


def test_the_plan_that_is_spoilt_was_valid() -> None:
    assert w.faults(INPUTS, VALID) == set()
    assert not [code for restated in RESTATEMENTS for code in restated(VALID)]
