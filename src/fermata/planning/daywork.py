"""All windows of one day together, once the search has chosen the days: windows start as early as limits let them, and
steps inside them shift so that each team's work fits into what it can do at once, over all windows open then.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fermata.planning.daywork_model import EFFORT_OF_A_DAY, DayPlan, plan_day
from fermata.planning.daywork_steps import DayRow, DayWindow, list_fixed, list_movable, move_steps
from fermata.planning.inputs import Daywork
from fermata.planning.problem import Problem, Spot, find_spots
from fermata.planning.rows import build_rows
from fermata.planning.search import Found, SearchOptions
from fermata.planning.sequence import WindowSteps
from fermata.planning.terms import CostTerm, OrderTerm, SpreadTerm, Term, list_terms
from fermata.planning.values import value_of
from fermata.planning.ways import Way

EFFORT_IN_ALL = 3.0  # deterministic time: ten times what January takes; later days of far larger campaigns go without


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """The problem with the steps of its parts as each day shifted them, the spots that go with it, and every day."""

    problem: Problem
    found: Found
    days: tuple[Daywork, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seat:
    """The part, by its number in its group, that stands on a spot, and its steps."""

    spot: Spot
    number: int
    steps: WindowSteps


def time_days(problem: Problem, found: Found, options: SearchOptions) -> Timed:
    """Every day solved on its own. No limit that the search kept is passed, no term gets worse, no end gets later.
    Windows on seats stay as they are, to the step.
    """
    terms = (*options.leading, *list_terms(problem))
    open_ = _find_open(problem, found.spots, options, terms)
    seats: list[_Seat] = []
    days: list[Daywork] = []
    left = EFFORT_IN_ALL
    for own in _seats_by_day(problem, found.spots):
        timed, day, spent = _time_day(problem, own, open_, terms, effort=min(left, EFFORT_OF_A_DAY))
        left -= spent
        seats.extend(timed)
        days.append(day)
    spots = {(seat.spot.way, seat.spot.day): seat.spot for seat in seats}  # a way has one window a day
    changed = tuple(spots[spot.way, spot.day] for spot in found.spots)
    results = tuple(
        replace(result, value=result.value + _gain(found.spots, changed, term))
        for result, term in zip(found.terms, terms, strict=True)
    )
    ways = _write_ways(problem.ways, seats)
    return Timed(
        problem=replace(problem, ways=ways), found=replace(found, spots=changed, terms=results), days=tuple(days)
    )


def _seats_by_day(problem: Problem, spots: Sequence[Spot]) -> Iterator[list[_Seat]]:
    """The parts of each group take its spots in order of day, as the plan is written."""
    taken: dict[tuple[int, int], int] = {}
    days: dict[int, list[_Seat]] = {}
    for spot in sorted(spots, key=lambda spot: (spot.day, spot.start, spot.way)):
        number = taken.get((spot.way, spot.group), 0)
        taken[spot.way, spot.group] = number + 1
        steps = problem.group_of(spot).parts[number].steps
        days.setdefault(spot.day, []).append(_Seat(spot=spot, number=number, steps=steps))
    yield from days.values()


def _find_open(
    problem: Problem, spots: Sequence[Spot], options: SearchOptions, terms: Sequence[Term]
) -> Mapping[Spot, tuple[Spot, ...]]:
    """For each spot, those on its day that its window may have as well: not closed, allowed, no dearer by any term."""
    own = {(spot.way, spot.group, spot.day): spot for spot in spots}
    costs = [term.cost for term in terms if isinstance(term, CostTerm)]
    found: dict[Spot, list[Spot]] = {spot: [] for spot in spots}
    for spot in find_spots(problem):
        now = own.get((spot.way, spot.group, spot.day))
        if now is None or (options.allows is not None and not options.allows(spot)):
            continue
        if all(cost(spot) <= cost(now) for cost in costs):
            found[now].append(spot)
    return {now: tuple(others) or (now,) for now, others in found.items()}


def _time_day(
    problem: Problem,
    seats: Sequence[_Seat],
    open_: Mapping[Spot, Sequence[Spot]],
    terms: Sequence[Term],
    *,
    effort: float,
) -> tuple[Sequence[_Seat], Daywork, float]:
    """The day's seats as they are timed, and the effort it took. A day on which every window starts as early as it may
    is left alone; one for which no effort is left is timed without the solver.
    """
    day = Daywork(day=problem.days[seats[0].spot.day].date, windows=len(seats), proven=False, minutes_saved=0)
    if all(seat.spot.start == min(spot.start for spot in open_[seat.spot]) for seat in seats):
        return seats, replace(day, proven=True), 0.0
    windows = [_day_window(problem, seat, open_[seat.spot]) for seat in seats]
    rows, limits = _day_rows(problem, seats, open_), problem.inputs.catalogue.team_limits
    not_after = _keep_right([seat.spot for seat in seats], terms)
    found = plan_day(windows, rows, limits, not_after, effort=effort)
    if found is None:
        return seats, day, max(0.0, effort)
    saved = sum(seat.spot.start for seat in seats) - sum(found.starts)
    timed = _move(problem, seats, found) if saved > 0 else seats
    return timed, replace(day, proven=found.proven, minutes_saved=max(0, saved)), found.effort


def _day_window(problem: Problem, seat: _Seat, open_: Sequence[Spot]) -> DayWindow:
    catalogue = problem.inputs.catalogue
    starts = tuple(spot.start for spot in open_)
    if seat.spot.way in problem.seats:
        fixed = list_fixed(seat.steps)
        return DayWindow(starts=starts, now=seat.spot.start, steps=fixed, ordered=(), catalogue=catalogue)
    steps = list_movable(seat.steps, catalogue)
    return DayWindow(starts=starts, now=seat.spot.start, steps=steps, ordered=seat.steps.steps, catalogue=catalogue)


def _day_rows(problem: Problem, seats: Sequence[_Seat], open_: Mapping[Spot, Sequence[Spot]]) -> list[DayRow]:
    """What windows share at each instant. Teams are counted step by step instead.

    Room that the search kept free stays free, but where it had to use it already.
    """
    spots = [spot for seat in seats for spot in open_[seat.spot]]
    window_of = [number for number, seat in enumerate(seats) for _ in open_[seat.spot]]
    taken = {seat.spot for seat in seats}
    rows: list[DayRow] = []
    for row in build_rows(problem, spots, with_reserve=True):
        if problem.resources[row.resource].source not in problem.inputs.catalogue.team_limits:
            uses = list(zip(row.spots.tolist(), row.units.tolist(), strict=True))
            load = sum(units for number, units in uses if spots[number] in taken)
            terms = tuple((window_of[number], spots[number].start, units) for number, units in uses)
            rows.append(DayRow(most=max(row.capacity, load), terms=terms))
    return rows


def _keep_right(spots: Sequence[Spot], terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Pairs of windows whose classes start in the right order and have to stay so."""
    return [
        (i, j)
        for term in terms
        if isinstance(term, OrderTerm)
        for i, one in enumerate(spots)
        for j, other in enumerate(spots)
        if 0 <= term.ranks[one.way] < term.ranks[other.way] and one.start <= other.start
    ]


def _move(problem: Problem, seats: Sequence[_Seat], found: DayPlan) -> list[_Seat]:
    catalogue = problem.inputs.catalogue
    return [
        seat
        if seat.spot.way in problem.seats
        else replace(seat, spot=replace(seat.spot, start=start), steps=move_steps(seat.steps, begins, catalogue))
        for seat, start, begins in zip(seats, found.starts, found.steps, strict=True)
    ]


def _gain(before: Sequence[Spot], after: Sequence[Spot], term: Term) -> int:
    """What moving windows within their days changes: never what a day as a whole has out, and no pair of two days."""
    if isinstance(term, SpreadTerm):
        return 0
    changed = {now.day for old, now in zip(before, after, strict=True) if old != now}
    gain = 0
    for day in sorted(changed):
        old, now = ([spot for spot in spots if spot.day == day] for spots in (before, after))
        gain += value_of(now, term) - value_of(old, term)
    return gain


def _write_ways(ways: Sequence[Way], seats: Sequence[_Seat]) -> tuple[Way, ...]:
    """The ways with the steps of their seated parts as those were timed."""
    timed: dict[int, dict[tuple[int, int], WindowSteps]] = {}
    for seat in seats:
        timed.setdefault(seat.spot.way, {})[seat.spot.group, seat.number] = seat.steps
    written = list(ways)
    for number, steps in timed.items():
        groups = list(ways[number].groups)
        for (g, p), laid_out in steps.items():
            parts = list(groups[g].parts)
            parts[p] = replace(parts[p], steps=laid_out)
            groups[g] = replace(groups[g], parts=tuple(parts))
        written[number] = replace(ways[number], groups=tuple(groups))
    return tuple(written)
