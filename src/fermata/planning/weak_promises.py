"""Why a window's end is less sure than was asked: told where a plan is shown, and whenever somebody asks."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from fermata.domain.campaign import Campaign
from fermata.domain.plans import Plan, RebootStep, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.planning.confidence import find_needed
from fermata.planning.inputs import PlanningInput
from fermata.planning.rehearsal import count_needed
from fermata.planning.stretch import Room

_UNKNOWN = math.inf
_NO_ROOM = Room(minutes=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakPromise:
    """A window whose planned end holds with less than the confidence asked, and what keeps it from more."""

    window: Window
    reason: Reason


def find_weak_promises(plan: Plan, campaign: Campaign, *, wanted: float) -> tuple[WeakPromise, ...]:
    """The windows less sure than `wanted`, least sure first, with the reason that the plan states; of one that states
    none, since less was asked when it was made, what the window alone shows.
    """
    told = ((window, tell_unsure(window, campaign, wanted=wanted)) for window in plan.windows)
    weak = [WeakPromise(window=window, reason=why) for window, why in told if why is not None]
    return tuple(sorted(weak, key=lambda found: (found.window.end_confidence, found.window.id)))


def tell_unsure(window: Window, campaign: Campaign, *, wanted: float) -> Reason | None:
    """Why the end of one window is less sure than `wanted`, as above; None when it is as sure."""
    if window.end_confidence >= wanted:
        return None
    return window.unsure or _explain(window, campaign, wanted, _UNKNOWN, _NO_ROOM)


def explain_unsure(window: Window, inputs: PlanningInput, *, back: Sequence[float], room: Room) -> Reason | None:
    """Why the end of the window is less sure than the inputs ask; None when it is as sure.

    `back`: minutes until enough nodes were back, per rehearsal, ascending; empty when it was not rehearsed. `room`:
    the time that it could have had.
    """
    wanted = inputs.confidence
    if window.end_confidence >= wanted:
        return None
    return _explain(window, inputs.campaign, wanted, find_needed(back, wanted), room)


def _explain(window: Window, campaign: Campaign, wanted: float, needed: float, room: Room) -> Reason:
    """`needed`: the minutes that would make the window as sure as wanted; inf where that is not known or never is."""
    nodes = len(window.nodes)
    spare = nodes - count_needed(nodes, campaign.return_threshold)
    reachable = _reachable(window, campaign, spare)
    told = {
        "window": window.id,
        "end": f"{window.end:%Y-%m-%d %H:%MZ}",
        "percent": round(100 * window.end_confidence),
        "wanted": f"{100 * wanted:g}",
        "nodes": f"{nodes:,}",
    }
    if reachable < wanted:
        most = f"{spare} may be missing" if spare else "none may be missing"
        enough = bisect_left(range(nodes), wanted, key=lambda lost: _reachable(window, campaign, lost))
        helps = f"a return_threshold that lets {enough} be missing does; else " if enough < nodes else ""
        return reason(Code.END_UNSURE_FALLOUT, **told, spare=most, most=math.floor(100 * reachable), helps=helps)
    until = ""
    if math.isfinite(needed):
        at = (window.start + timedelta(minutes=math.ceil(needed))).astimezone(ZoneInfo(campaign.timezone))
        until = f", until about {at:%H:%M}"
    if room.ends_with:
        return reason(Code.END_UNSURE_NEXT, **told, until=until, next=room.ends_with)
    back_by = f"{campaign.daily_window.back_in_service_by:%H:%M}"
    return reason(Code.END_UNSURE_ROOM, **told, until=until, back_by=back_by)


def _reachable(window: Window, campaign: Campaign, spare: int) -> float:
    """How likely no more nodes fall out than may be missing, however long the window."""
    if not any(isinstance(step, RebootStep) for step in window.steps):
        return 1.0
    return find_chance_of_enough(len(window.nodes), spare, campaign.fallout.fraction)


def find_chance_of_enough(nodes: int, spare: int, fallout: float) -> float:
    """The probability that of so many nodes, each falling out by itself with this share, at most `spare` do."""
    if fallout in {0.0, 1.0}:
        return 1.0 if fallout == 0.0 or spare == nodes else 0.0
    return min(1.0, sum(math.exp(_log_chance(nodes, lost, fallout)) for lost in range(spare + 1)))


def _log_chance(nodes: int, lost: int, fallout: float) -> float:
    """The logarithm of a binomial probability: large windows have more ways to lose nodes than a float can count."""
    ways = math.lgamma(nodes + 1) - math.lgamma(lost + 1) - math.lgamma(nodes - lost + 1)
    return ways + lost * math.log(fallout) + (nodes - lost) * math.log1p(-fallout)
