"""What whoever asked for a plan should know of its control phase."""

from collections.abc import Iterable, Iterator

from fermata.domain.control import find_reserved
from fermata.domain.plans import Plan, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.planning.inputs import PlanningInput

NAMES_SHOWN = 5


def note_control(inputs: PlanningInput, plan: Plan) -> tuple[Reason, ...]:
    """Who goes first and until when, and which updates they do not try. Nothing once all that is over."""
    return tuple(_note(inputs, plan))


def _note(inputs: PlanningInput, plan: Plan) -> Iterator[Reason]:
    phase = inputs.campaign.phases.control
    reserved = find_reserved(plan.windows, phase) if phase is not None else None
    if reserved is None or reserved.opens <= inputs.now:
        return
    yield reason(
        Code.CONTROL_RESERVED,
        windows=len(reserved.windows),
        nodes=f"{reserved.nodes:,}",
        all=f"{sum(len(window.nodes) for window in plan.windows):,}",
        ends=f"{reserved.ends:%Y-%m-%d %H:%MZ}",
        opens=f"{reserved.opens:%Y-%m-%d %H:%MZ}",
    )
    first = [window for window in plan.windows if window.id in reserved.windows]
    untried = _updates_of(plan.windows) - _updates_of(first)
    if untried:
        yield reason(Code.CONTROL_UNTRIED, updates=_list(untried))
    clusters = inputs.fleet.clusters
    skus = {clusters[window.cluster].sku for window in plan.windows} - {clusters[w.cluster].sku for w in first}
    if skus:
        yield reason(Code.CONTROL_SKU_UNTRIED, skus=_list(skus))


def _updates_of(windows: Iterable[Window]) -> set[str]:
    return {update for window in windows for update in window.updates}


def _list(names: set[str]) -> str:
    hidden = len(names) - NAMES_SHOWN
    return ", ".join(sorted(names)[:NAMES_SHOWN]) + (f" and {hidden} more" if hidden > 0 else "")
