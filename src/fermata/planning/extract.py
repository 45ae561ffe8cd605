"""Writes a plan from the spots that were found: which part stands where, its steps in UTC, what it is worth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from fermata.domain.campaign import Preference, SpreadEvenly
from fermata.domain.ids import PlanId, WindowId
from fermata.domain.plans import ConsentBasis, InputHashes, ObjectiveTerm, Plan, SolverNote, Window
from fermata.domain.windows import calendar_day
from fermata.planning.problem import Problem, Spot
from fermata.planning.promises import Promise, stretch_promise
from fermata.planning.search import Found, TermResult
from fermata.planning.sequence import extend_verify, shift_steps
from fermata.planning.service_days import find_service_days
from fermata.planning.stretch import Room, find_longest
from fermata.planning.terms import SHARE_SCALE, count_where, place_of
from fermata.planning.ways import Part
from fermata.planning.weak_promises import explain_unsure

OPTIMAL = "optimal"
FEASIBLE = "feasible"
SHARE_DIGITS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    """A part on its spot, with the promise of its window."""

    spot: Spot
    part: Part
    promise: Promise
    room: Room


def write_plan(problem: Problem, found: Found, *, plan_id: str, hashes: InputHashes) -> Plan:
    """The plan, windows in order of start and cluster. Its status is optimal only when every term is proven."""
    inputs = problem.inputs
    windows = _write_windows(problem, found.spots)
    terms = _write_terms(problem, windows, found.terms)
    is_proven = all(term.bound >= term.value for term in terms)
    return Plan(
        id=PlanId(plan_id),
        parent=inputs.parent.id if inputs.parent is not None else None,
        campaign=inputs.campaign.id,
        created_at=inputs.now,
        inputs=hashes,
        consent=ConsentBasis.ASSUMED if inputs.ledger is None else ConsentBasis.RECORDED,
        windows=windows,
        unplanned=problem.scope.unplanned,
        objective=terms,
        solver=SolverNote(status=OPTIMAL if is_proven else FEASIBLE, seconds=round(found.effort, 2), seed=inputs.seed),
        services=find_service_days(problem, windows),
    )


def _write_windows(problem: Problem, spots: Sequence[Spot]) -> tuple[Window, ...]:
    by_way: dict[int, list[Spot]] = {}
    for spot in sorted(spots, key=lambda spot: (spot.day, spot.start)):
        by_way.setdefault(spot.way, []).append(spot)
    windows: list[Window] = []
    longest = find_longest(problem, spots)
    for way, taken in by_way.items():
        waiting = [list(group.parts) for group in problem.ways[way].groups]
        seats = [_seat(problem, spot, waiting[spot.group].pop(0), longest[spot]) for spot in taken]
        windows.extend(_write_window(problem, seat, number, len(seats)) for number, seat in enumerate(seats, start=1))
    return tuple(sorted(windows, key=lambda window: (window.start, window.cluster)))


def _seat(problem: Problem, spot: Spot, part: Part, room: Room) -> _Seat:
    promise = stretch_promise(part.promise, longest=room.minutes, wanted=problem.inputs.confidence)
    return _Seat(spot=spot, part=part, promise=promise, room=room)


def _write_window(problem: Problem, seat: _Seat, number: int, parts: int) -> Window:
    way, part, day = problem.ways[seat.spot.way], seat.part, problem.days[seat.spot.day]
    steps = extend_verify(part.steps, seat.promise.minutes)
    start = day.at(seat.spot.start)
    window = Window(
        id=WindowId(f"{way.cluster.name}-{day.date:%Y%m%d}"),
        cluster=way.cluster.name,
        mode=way.mode,
        part=number,
        parts=parts,
        start=start,
        end=start + timedelta(minutes=steps.minutes),
        nodes=tuple(node.name for node in part.nodes),
        updates=part.steps.updates,
        steps=shift_steps(steps.steps, start),
        reboots_per_node=part.steps.reboots_per_node,
        end_confidence=seat.promise.end_confidence,
    )
    return replace(window, unsure=explain_unsure(window, problem.inputs, back=seat.promise.back, room=seat.room))


def _write_terms(
    problem: Problem, windows: Sequence[Window], results: Sequence[TermResult]
) -> tuple[ObjectiveTerm, ...]:
    """Terms that lead the campaign's preferences as they are; what shares are is measured on the windows."""
    preferences = problem.inputs.campaign.preferences
    leading = len(results) - len(preferences)
    return (
        *(_write_whole(result) for result in results[:leading]),
        *(write_term(problem, windows, *pair) for pair in zip(preferences, results[leading:], strict=True)),
    )


def _write_whole(result: TermResult) -> ObjectiveTerm:
    return ObjectiveTerm(term=result.name, value=result.value, bound=result.bound)


def write_term(
    problem: Problem, windows: Sequence[Window], preference: Preference, result: TermResult
) -> ObjectiveTerm:
    """The term as a plan states it; of a spread exactly, from the windows."""
    if not isinstance(preference, SpreadEvenly):
        return _write_whole(result)
    value = _measure_spread(problem, windows, preference)
    bound = value if result.bound >= result.value else min(value, result.bound / SHARE_SCALE)
    return ObjectiveTerm(term=preference.term, value=value, bound=bound)


def _date_of(problem: Problem, start: datetime) -> date:
    """The calendar day whose room holds `start`; of a window of other hours, its own."""
    own = calendar_day(start, problem.inputs.campaign.timezone)
    return next((day.date for day in problem.days if day.room.start <= start < day.room.end), own)


def _measure_spread(problem: Problem, windows: Sequence[Window], preference: SpreadEvenly) -> float:
    """Exactly, where the model counts basis points of its largest parts."""
    fleet, campaign = problem.inputs.fleet, problem.inputs.campaign
    totals = count_where(problem, preference.where, preference.over)
    days = (campaign.extension_until - campaign.first_day).days + 1
    out: dict[tuple[str, object], int] = {}
    for window in windows:
        cluster = fleet.clusters[window.cluster]
        count = len(preference.where.select([fleet.nodes[name] for name in window.nodes], cluster))
        if count:
            key = (place_of(cluster, preference.over), _date_of(problem, window.start))
            out[key] = out.get(key, 0) + count
    shares = [count / totals[place] for (place, _), count in out.items()]
    shares.extend([0.0] if len(shares) < len(totals) * days else [])
    return round(max(shares, default=0.0) - min(shares, default=0.0), SHARE_DIGITS)
