"""Writes a re-plan: what stays word for word as the parent had it, what moved, what is new, and what it all costs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fermata.domain.ids import ClusterId, PlanId, WindowId
from fermata.domain.plans import ConsentBasis, InputHashes, Mode, ObjectiveTerm, Plan, SolverNote, Window
from fermata.domain.replanning import BROKEN_TERM, MOVED_TERM, WEIGHT_TODAY, count_broken, weigh_moves
from fermata.planning.extract import FEASIBLE, OPTIMAL, write_term
from fermata.planning.inputs import PlanningInput
from fermata.planning.problem import Spot
from fermata.planning.promises import stretch_promise
from fermata.planning.replan_agenda import Agenda, day_of
from fermata.planning.replan_search import Placed
from fermata.planning.replan_tasks import Kind, Task
from fermata.planning.sequence import extend_verify, shift_steps
from fermata.planning.service_days import find_service_days
from fermata.planning.stretch import Room, find_longest
from fermata.planning.ways import Part, Way
from fermata.planning.weak_promises import explain_unsure

_NO_ROOM = Room(minutes=0)  # of a window that is over


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A window, and whether it stands as the parent had it, so that its number may not change. `back` and `room`: as
    `explain_unsure` wants them.
    """

    window: Window
    is_carried: bool
    back: Sequence[float] = ()
    room: Room = _NO_ROOM


def write_replan(inputs: PlanningInput, agenda: Agenda, placed: Placed, *, plan_id: str, hashes: InputHashes) -> Plan:
    """The plan, windows in order of start and cluster; what ran of the parent stands in it as it ran."""
    assert inputs.parent is not None, "a re-plan follows another plan"
    windows = _number(_name(inputs, _draft_windows(agenda, placed)))
    preferences = inputs.campaign.preferences
    terms = (
        *_write_moves(inputs, windows, agenda, placed.moved_bound),
        *(write_term(placed.problem, windows, *pair) for pair in zip(preferences, placed.terms, strict=True)),
    )
    is_proven = all(term.bound >= term.value for term in terms)
    return Plan(
        id=PlanId(plan_id),
        parent=inputs.parent.id,
        campaign=inputs.campaign.id,
        created_at=inputs.now,
        inputs=hashes,
        consent=ConsentBasis.ASSUMED if inputs.ledger is None else ConsentBasis.RECORDED,
        windows=windows,
        unplanned=agenda.scope.unplanned,
        objective=terms,
        solver=SolverNote(status=OPTIMAL if is_proven else FEASIBLE, seconds=round(placed.effort, 2), seed=inputs.seed),
        services=find_service_days(placed.problem, windows),
    )


def _write_moves(
    inputs: PlanningInput, windows: Sequence[Window], agenda: Agenda, bound: int
) -> tuple[ObjectiveTerm, ...]:
    """What is broken is as little as can be, since what stays within the notice was chosen before all else."""
    broken = count_broken(inputs.standing, windows, agenda.scope.unplanned)
    moved = weigh_moves(inputs.standing, windows, now=inputs.now)
    return (
        ObjectiveTerm(term=BROKEN_TERM, value=broken, bound=broken),
        ObjectiveTerm(term=MOVED_TERM, value=moved / WEIGHT_TODAY, bound=min(bound, moved) / WEIGHT_TODAY),
    )


def _draft_windows(agenda: Agenda, placed: Placed) -> list[_Draft]:
    task_of = {way: task for task, ways in zip(placed.tasks, placed.problem.ways_of, strict=True) for way in ways}
    taken: dict[int, list[Spot]] = {}
    for spot in sorted(placed.spots, key=lambda spot: (spot.way, spot.day, spot.start)):
        taken.setdefault(spot.way, []).append(spot)
    past = {way for way, task in task_of.items() if agenda.tasks[task].kind is Kind.PAST}
    longest = find_longest(placed.problem, [spot for spot in placed.spots if spot.way not in past])
    drafts: list[_Draft] = []
    for number, spots in taken.items():
        way = placed.problem.ways[number]
        waiting = [list(group.parts) for group in way.groups]
        for spot in spots:
            task = agenda.tasks[task_of[number]]
            is_home = agenda.homes.get(task_of[number]) == (spot.day, spot.start)
            start = agenda.days[spot.day].at(spot.start)
            part = waiting[spot.group].pop(0)
            if not task.is_same:
                part = _stretch(part, longest[spot].minutes, agenda.ahead.confidence)
            draft = _draft(task, way, part, start, is_home=is_home)
            drafts.append(replace(draft, back=part.promise.back, room=longest.get(spot, _NO_ROOM)))
    return drafts


def _stretch(part: Part, longest: int, wanted: float) -> Part:
    """The part as sure of its end as the time that nobody else needs makes it."""
    promise = stretch_promise(part.promise, longest=longest, wanted=wanted)
    return replace(part, promise=promise, steps=extend_verify(part.steps, promise.minutes))


def _draft(task: Task, way: Way, part: Part, start: datetime, *, is_home: bool) -> _Draft:
    source = task.source
    if source is not None and task.is_same and (is_home or task.kind is Kind.PAST):
        return _Draft(window=source, is_carried=True)
    if source is not None and is_home:
        start = source.start
    base = Window(
        id=source.id if source is not None and is_home else WindowId(""),
        cluster=way.cluster.name,
        mode=way.mode,
        part=source.part if source is not None and way.mode is source.mode else 0,
        parts=source.parts if source is not None and way.mode is source.mode else 0,
        start=start,
        end=start + timedelta(minutes=part.steps.minutes),
        nodes=tuple(node.name for node in part.nodes),
        updates=part.steps.updates,
        steps=shift_steps(part.steps.steps, start),
        reboots_per_node=part.steps.reboots_per_node,
        end_confidence=part.promise.end_confidence,
    )
    return _Draft(window=base, is_carried=False)


def _name(inputs: PlanningInput, drafts: Sequence[_Draft]) -> list[_Draft]:
    """Windows at a new time are named after cluster and day, as all are, unless that name is that of one that ran."""
    assert inputs.parent is not None
    ran = {*inputs.standing.ran, *(draft.window.id for draft in drafts if draft.window.id)}
    named: list[_Draft] = []
    for draft in drafts:
        name = draft.window.id or _free_name(inputs, draft.window, ran)
        ran.add(name)
        named.append(draft if draft.is_carried else replace(draft, window=_tell_unsure(inputs, draft, name)))
    return named


def _tell_unsure(inputs: PlanningInput, draft: _Draft, name: WindowId) -> Window:
    window = replace(draft.window, id=name)
    return replace(window, unsure=explain_unsure(window, inputs, back=draft.back, room=draft.room))


def _free_name(inputs: PlanningInput, window: Window, taken: set[WindowId]) -> WindowId:
    day = day_of(window.start, inputs)
    name, number = f"{window.cluster}-{day.date:%Y%m%d}", 1
    while WindowId(name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return WindowId(name if number == 1 else f"{name}-{number}")


def _number(drafts: Sequence[_Draft]) -> tuple[Window, ...]:
    """Parts that are carried over keep their numbers; others take those that are left, or all anew if none is kept."""
    by_cluster: dict[ClusterId, list[_Draft]] = {}
    for draft in sorted(drafts, key=lambda draft: (draft.window.start, draft.window.cluster)):
        by_cluster.setdefault(draft.window.cluster, []).append(draft)
    numbered = [window for drafts in by_cluster.values() for window in _number_cluster(drafts)]
    return tuple(sorted(numbered, key=lambda window: (window.start, window.cluster)))


def _number_cluster(drafts: Sequence[_Draft]) -> list[Window]:
    rolled = [draft for draft in drafts if draft.window.mode is Mode.ROLLING]
    whole = [replace_number(d, 1, 1) for d in drafts if d.window.mode is Mode.WHOLE]
    if not any(draft.is_carried for draft in rolled):
        return [*whole, *(replace_number(draft, i, len(rolled)) for i, draft in enumerate(rolled, start=1))]
    used = Counter(draft.window.part for draft in rolled if draft.window.part)
    most = max(len(rolled), *(draft.window.parts for draft in rolled), *used)
    free = iter(number for number in range(1, most + len(rolled) + 1) if not used[number])
    found: list[Window] = []
    for draft in rolled:
        number = draft.window.part or next(free)
        found.append(replace_number(draft, number, max(most, number)))
    return [*whole, *found]


def replace_number(draft: _Draft, part: int, parts: int) -> Window:
    """The window with its number, which one that is carried over has already."""
    return draft.window if draft.is_carried else replace(draft.window, part=part, parts=parts)
