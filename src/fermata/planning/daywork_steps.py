"""Windows and their steps as a day shifts them: who must stay before whom, and which teams they keep busy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from itertools import combinations

from fermata.domain.ids import TeamId
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep, RebootStep, Step, VerifyStep
from fermata.domain.step_order import device_waits, node_waits
from fermata.domain.updates import Catalogue
from fermata.planning.encoding import TeamUse
from fermata.planning.sequence import EPOCH, WindowSteps, after_epoch
from fermata.planning.shape import told_minutes

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Movable:
    """A step that may begin `least` to `most` minutes into its window. `team` None: it keeps none busy."""

    least: int
    most: int
    minutes: int
    team: TeamId | None
    units: int


@dataclass(frozen=True, kw_only=True)
class DayWindow:
    """One window of the day. `starts`: where it may start, in minutes into the day's room; `now`: where it does;
    `ordered`: the steps as they are laid out where their order has to be kept, none where nothing moves anyway.
    """

    starts: tuple[int, ...]
    now: int
    steps: tuple[Movable, ...]
    ordered: tuple[Step, ...]
    catalogue: Catalogue

    @cached_property
    def bonds(self) -> tuple[tuple[int, int], ...]:
        """Pairs of its steps of which the first ends before the second begins."""
        return list_bonds(self.ordered, self.catalogue)

    @property
    def rising(self) -> tuple[tuple[int, int], ...]:
        """Pairs of its steps of which the first begins no later."""
        return list_rising(self.ordered)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRow:
    """Of the starts named (window, start) those chosen add up, in units, to at most `most`."""

    most: int
    terms: tuple[tuple[int, int, int], ...]


def list_movable(laid_out: WindowSteps, catalogue: Catalogue) -> tuple[Movable, ...]:
    """The steps in their order, none earlier than laid out. The time that the verification pools is room to move."""
    last = laid_out.steps[-1]
    assert isinstance(last, VerifyStep), "a layout ends with the verification"
    verify = told_minutes(catalogue.defaults.verify_minutes.p50)
    latest = laid_out.minutes - min(verify, (last.end - last.start) // MINUTE)
    return tuple(_movable(step, latest, catalogue) for step in laid_out.steps)


def list_fixed(laid_out: WindowSteps) -> tuple[Movable, ...]:
    """What keeps teams busy in a window of which nothing may move."""
    return tuple(
        Movable(least=use.start, most=use.start, minutes=use.end - use.start, team=use.team, units=use.units)
        for use in laid_out.team_uses
    )


def _movable(step: Step, latest: int, catalogue: Catalogue) -> Movable:
    least = (step.start - EPOCH) // MINUTE
    minutes = (step.end - step.start) // MINUTE
    match step:
        case NodeApplyStep(update=update, nodes=units):
            team: TeamId | None = catalogue.updates[update].owner_team
        case DeviceApplyStep(update=update, devices=devices):
            team, units = catalogue.updates[update].owner_team, len(devices)
        case _:
            team, units = None, 0
    if isinstance(step, VerifyStep):
        return Movable(least=least, most=latest, minutes=0, team=None, units=0)
    most = max(least, latest - minutes) if isinstance(step, NodeApplyStep | DeviceApplyStep | RebootStep) else least
    return Movable(least=least, most=most, minutes=minutes, team=team, units=units)


def list_bonds(steps: Sequence[Step], catalogue: Catalogue) -> tuple[tuple[int, int], ...]:
    """Pairs of steps (indices) of which the first stays before the second: as they stand, unless one is on devices and
    no rule ties it to the other. What runs side by side is not bound.
    """
    return tuple(
        (i, j)
        for i, one in enumerate(steps)
        for j, other in enumerate(steps)
        if one.end <= other.start and _are_bound(one, other, catalogue)
    )


def list_rising(steps: Sequence[Step]) -> tuple[tuple[int, int], ...]:
    """Pairs of reboots into the same updates: their order tells which nodes each takes."""
    reboots = [(i, step) for i, step in enumerate(steps) if isinstance(step, RebootStep)]
    return tuple((i, j) for (i, one), (j, other) in combinations(reboots, 2) if one.activates == other.activates)


def _are_bound(one: Step, other: Step, catalogue: Catalogue) -> bool:
    if isinstance(one, DeviceApplyStep) and isinstance(other, DeviceApplyStep):
        return _share_order(one, other, catalogue)
    if isinstance(one, DeviceApplyStep):
        return node_waits(other, one, catalogue)
    if isinstance(other, DeviceApplyStep):
        return device_waits(other, one, catalogue)
    return True


def _share_order(one: DeviceApplyStep, other: DeviceApplyStep, catalogue: Catalogue) -> bool:
    """True for batches of one update, and for updates of which one builds on the other or conflicts with it."""
    first, second = catalogue.updates[one.update], catalogue.updates[other.update]
    needs = any(need.component == first.component for need in second.requires)
    conflict = frozenset((first.id, second.id)) in catalogue.conflicts
    return first.id == second.id or first.id in second.after or needs or conflict


def move_steps(laid_out: WindowSteps, starts: Sequence[int], catalogue: Catalogue) -> WindowSteps:
    """The same steps, each beginning so many minutes into the window; the last still ends where it did."""
    moved: list[Step] = []
    for step, start in zip(laid_out.steps[:-1], starts, strict=False):
        by = after_epoch(start) - step.start
        moved.append(replace(step, start=step.start + by, end=step.end + by))
    last = replace(laid_out.steps[-1], start=after_epoch(starts[-1]))
    uses = tuple(use for step in moved if (use := _use_of(step, catalogue)) is not None)
    return replace(laid_out, steps=(*sorted(moved, key=lambda step: step.start), last), team_uses=uses)


def _use_of(step: Step, catalogue: Catalogue) -> TeamUse | None:
    match step:
        case NodeApplyStep(update=update, nodes=units):
            pass
        case DeviceApplyStep(update=update, devices=devices):
            units = len(devices)
        case _:
            return None
    start, end = (step.start - EPOCH) // MINUTE, (step.end - EPOCH) // MINUTE
    return TeamUse(team=catalogue.updates[update].owner_team, start=start, end=end, units=units)


def find_busy_teams(days: Sequence[Sequence[Movable]], limits: Mapping[TeamId, int]) -> frozenset[TeamId]:
    """Teams that windows with these steps, wherever they start, could keep busier than they can be."""
    widest: dict[TeamId, int] = {}
    for steps in days:
        for team in {step.team for step in steps if step.team in limits}:
            assert team is not None
            own = [step for step in steps if step.team == team]
            widest[team] = widest.get(team, 0) + sum(step.units for step in own)
    return frozenset(team for team, units in widest.items() if units > limits[team])
