"""The independent judge of a cluster's standing plan: it shares values with the planner and nothing else."""

from collections.abc import Iterator
from datetime import date

from fermata.domain.ids import UpdateId
from fermata.planning.standing.items import ClusterItems, Item
from fermata.planning.standing.outages import ClusterStanding


def check_standing(of: ClusterItems, standing: ClusterStanding, *, first_day: date) -> tuple[str, ...]:
    """Every way in which the plan breaks what it promises, in words; none: it holds."""
    items = {item.update: item for item in of.items}
    days: dict[UpdateId, date] = {}
    faults: list[str] = []
    for outage in standing.outages:
        for update in outage.updates:
            if update in days:
                faults.append(f"{update} is planned twice")
            days[update] = outage.day
    for quiet in standing.quiet:
        if quiet.update in days:
            faults.append(f"{quiet.update} is planned twice")
        if items[quiet.update].takes:
            faults.append(f"{quiet.update} takes nodes out without an outage")
        days[quiet.update] = quiet.day
    late = {trouble.update for trouble in standing.troubles}
    for item in of.items:
        faults.extend(_judge_item(item, days, first_day, is_excused=item.update in late, last_day=_last(standing)))
    faults.extend(_judge_nodes(items, standing))
    return tuple(faults)


def _last(standing: ClusterStanding) -> date:
    """The last day that anything is planned for: what is due later may be left for the next plan."""
    return max((*(o.day for o in standing.outages), *(q.day for q in standing.quiet)), default=date.min)


def _judge_item(
    item: Item, days: dict[UpdateId, date], first_day: date, *, is_excused: bool, last_day: date
) -> Iterator[str]:
    day = days.get(item.update)
    if day is None:
        covers = [name for name in item.covered_by if name in days and days[name] <= item.due]
        if not covers and not is_excused and item.due <= last_day:
            yield f"{item.update}, due on {item.due}, is not planned"
        return
    if day < max(first_day, item.first):
        yield f"{item.update} is planned on {day}, before it may be"
    if day > item.due and not is_excused:
        yield f"{item.update} is planned on {day}, after {item.due}, and nobody is told"
    if item.takes and not item.is_open(day):
        yield f"{item.update} is planned on {day}, inside a freeze"
    for name in item.after:
        if name in days and days[name] > day:
            yield f"{item.update} is planned on {day}, before {name} on {days[name]}"


def _judge_nodes(items: dict[UpdateId, Item], standing: ClusterStanding) -> Iterator[str]:
    total = 0
    for outage in standing.outages:
        taken = {node for update in outage.updates for node in items[update].takes}
        total += len(taken)
        if taken != set(outage.nodes) or len(taken) != len(outage.nodes):
            yield f"the outage of {outage.day} takes other nodes than its updates need"
    if total != standing.node_outages:
        yield f"{standing.node_outages} node outages are stated, {total} planned"
    if standing.node_outages_bound > total:
        yield f"the bound {standing.node_outages_bound} is above the value {total}"
