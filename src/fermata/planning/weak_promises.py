"""Why a window's end is less sure than was asked: told where a plan is shown, and whenever somebody asks."""

import math
from dataclasses import dataclass

from fermata.domain.campaign import Campaign
from fermata.domain.plans import Plan, RebootStep, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.planning.rehearsal import count_needed


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakPromise:
    """A window whose planned end holds with less than the confidence asked, and what keeps it from more."""

    window: Window
    reason: Reason


def find_weak_promises(plan: Plan, campaign: Campaign, *, wanted: float) -> tuple[WeakPromise, ...]:
    """The windows less sure than `wanted`, least sure first."""
    weak = (WeakPromise(window=window, reason=_explain(window, campaign, wanted)) for window in _below(plan, wanted))
    return tuple(sorted(weak, key=lambda found: (found.window.end_confidence, found.window.id)))


def _below(plan: Plan, wanted: float) -> list[Window]:
    return [window for window in plan.windows if window.end_confidence < wanted]


def _explain(window: Window, campaign: Campaign, wanted: float) -> Reason:
    nodes = len(window.nodes)
    spare = nodes - count_needed(nodes, campaign.return_threshold)
    reachable = 1.0
    if any(isinstance(step, RebootStep) for step in window.steps):
        reachable = find_chance_of_enough(nodes, spare, campaign.fallout.fraction)
    told = {
        "window": window.id,
        "end": f"{window.end:%Y-%m-%d %H:%MZ}",
        "percent": round(100 * window.end_confidence),
        "wanted": f"{100 * wanted:g}",
    }
    if reachable < wanted:
        most = f"{spare} may be missing" if spare else "none may be missing"
        return reason(Code.END_UNSURE_FALLOUT, **told, nodes=f"{nodes:,}", spare=most, most=math.floor(100 * reachable))
    return reason(
        Code.END_UNSURE_ROOM, **told, nodes=f"{nodes:,}", back_by=f"{campaign.daily_window.back_in_service_by:%H:%M}"
    )


def find_chance_of_enough(nodes: int, spare: int, fallout: float) -> float:
    """The probability that of so many nodes, each falling out by itself with this share, at most `spare` do."""
    if fallout in {0.0, 1.0}:
        return 1.0 if fallout == 0.0 or spare == nodes else 0.0
    return min(1.0, sum(math.exp(_log_chance(nodes, lost, fallout)) for lost in range(spare + 1)))


def _log_chance(nodes: int, lost: int, fallout: float) -> float:
    """The logarithm of a binomial probability: large windows have more ways to lose nodes than a float can count."""
    ways = math.lgamma(nodes + 1) - math.lgamma(lost + 1) - math.lgamma(nodes - lost + 1)
    return ways + lost * math.log(fallout) + (nodes - lost) * math.log1p(-fallout)
