"""Plans the January campaign and checks the plan. Baselines: a greedy list schedule that books whole days, cluster
after cluster, and a plain loop that checks three rules of the many.
"""

import itertools
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import harness
import stores
from fermata.domain.campaign import Campaign, Limit, LimitKind
from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.ids import ClusterId
from fermata.domain.pending import find_pending
from fermata.domain.plans import Plan
from fermata.domain.policy import Freeze
from fermata.domain.request_shares import nodes_with_work
from fermata.domain.windows import Interval, calendar_day, day_interval, days_between
from fermata.formats.plans import read_plan, write_plan
from fermata.formats.scenario import Scenario, input_hashes, read_scenario
from fermata.planning.checker import check_plan
from fermata.planning.inputs import Infeasible, PlanningInput
from fermata.planning.planner import plan_campaign
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch

PLAN_SECONDS = 60.0  # what was promised, on 2 cores, for all of January
WEEKEND = (5, 6)
Booking = tuple[date, Sequence[Node]]


def main() -> None:
    """Makes the scenario once, then measures."""
    options = harness.read_options(__doc__ or "", runs=3)
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name), options.nodes)
        target = PLAN_SECONDS if options.nodes is None else None
        harness.run(
            Benchmark(
                name="planning",
                title="plan and check",
                cases=[
                    Case(name="list schedule", run=schedule),
                    Case(name="plan", run=plan, baseline="list schedule", target_seconds=target),
                    Case(name="three rules in a loop", run=check_plainly),
                    Case(name="check", run=check, baseline="three rules in a loop"),
                ],
                each_run=lambda: stores.fresh_stores(None, (), {"scenario": str(scenario)}),
                notes=["The plan's time includes its own check. Late node-days: nodes times days after the deadline."],
            ),
            options,
        )


def plan(place: Place) -> Sample:
    """The planner on a scenario that is read already; the plan is kept for the checks."""
    read = read_scenario(Path(place["scenario"]))
    with Watch() as watch:
        outcome = plan_campaign(planning_input(read), new_plan_id="plan_bench", hashes=input_hashes(read))
    if isinstance(outcome, Infeasible):
        raise SystemExit("; ".join(["No plan exists", *(clash.sentence for clash in outcome.clashes)]))
    made = outcome.plan
    write_plan(made, Path(place["folder"], "plan.json"))
    booked = [
        (calendar_day(window.start, read.campaign.timezone), [read.fleet.nodes[name] for name in window.nodes])
        for window in made.windows
    ]
    unplaced = sum(len(left.nodes) for left in made.unplanned)
    return watch.sample(
        **measure_bookings(booked, read.campaign), unplaced_nodes=unplaced, solver_seconds=made.solver.seconds
    )


def check(place: Place) -> Sample:
    """Every rule of the checker on that plan."""
    read = read_scenario(Path(place["scenario"]))
    made = read_plan(Path(place["folder"], "plan.json"))
    with Watch() as watch:
        violations = check_plan(planning_input(read), made)
    return watch.sample(violations=len(violations))


def planning_input(read: Scenario) -> PlanningInput:
    """A draft: consent is assumed, the time is the campaign's."""
    assert read.campaign.planned_as_of is not None
    return PlanningInput(
        fleet=read.fleet,
        catalogue=read.catalogue,
        policy=read.policy,
        campaign=read.campaign,
        ledger=None,
        now=read.campaign.planned_as_of,
    )


def schedule(place: Place) -> Sample:
    """The list schedule on a scenario that is read already."""
    read = read_scenario(Path(place["scenario"]))
    with Watch() as watch:
        booked, unplaced = list_schedule(read)
    return watch.sample(**measure_bookings(booked, read.campaign), unplaced_nodes=unplaced)


def list_schedule(read: Scenario) -> tuple[list[Booking], int]:
    """Small clusters first, each on the first day with room for all of it, or in parts where no day ever has and it may
    be rolled. A window takes its whole day. Returns the bookings and how many nodes found no day.
    """
    campaign, fleet = read.campaign, read.fleet
    days = list(days_between(campaign.first_day, campaign.extension_until))
    days = [day for day in days if campaign.weekends_staffed or day.weekday() not in WEEKEND]
    rooms = [_capacity(limit, campaign, fleet) for limit in campaign.limits]
    used: dict[tuple[int, date], int] = defaultdict(int)
    booked: list[Booking] = []
    unplaced = 0
    for cluster, nodes in sorted(works_of(read).items(), key=lambda work: (len(work[1]), work[0])):
        is_big = len(nodes) > campaign.big_cluster_nodes
        whole = _costs(campaign.limits, nodes, fleet.clusters[cluster], big=is_big)
        fits = all(cost <= room for cost, room in zip(whole, rooms, strict=True))
        must_roll = fleet.clusters[cluster].rolling_allowed and not fits
        size = max(1, int(len(nodes) * campaign.rolling.max_fraction_per_day)) if must_roll else len(nodes)
        free = iter([day for day in days if not _is_frozen(read.policy.freezes, cluster, day, campaign)])
        for part in (nodes[at : at + size] for at in range(0, len(nodes), size)):
            costs = _costs(campaign.limits, part, fleet.clusters[cluster], big=is_big and not must_roll)
            for day in free:  # the next part goes on from here: parts lie on separate days
                due = {i: cost for i, cost in enumerate(costs) if cost and _holds_on(campaign.limits[i], day)}
                if all(used[i, day] + cost <= rooms[i] for i, cost in due.items()):
                    for i, cost in due.items():
                        used[i, day] += cost
                    booked.append((day, part))
                    break
            else:
                unplaced += len(part)
    return booked, unplaced


def works_of(read: Scenario) -> Mapping[ClusterId, Sequence[Node]]:
    """The nodes with work of each cluster in the campaign's scope."""
    pending = find_pending(read.fleet, read.catalogue, read.campaign.updates)
    works = {}
    for name, cluster in read.fleet.clusters.items():
        wanted = nodes_with_work(read.fleet, pending, name) if read.campaign.scope.matches_cluster(cluster) else ()
        if wanted:
            works[name] = [node for node in read.fleet.nodes_by_cluster[name] if node.name in wanted]
    return works


def _costs(limits: Sequence[Limit], nodes: Sequence[Node], cluster: Cluster, *, big: bool) -> list[int]:
    """What a window of these nodes uses of each limit."""
    costs = []
    for limit in limits:
        match limit.what:
            case LimitKind.NODES_OUT:
                costs.append(sum(limit.where.matches(node, cluster) for node in nodes))
            case LimitKind.CLUSTER_WINDOWS:
                costs.append(int(limit.where.matches_cluster(cluster)))
            case LimitKind.WHOLE_BIG_CLUSTERS:
                costs.append(int(big and limit.where.matches_cluster(cluster)))
    return costs


def _holds_on(limit: Limit, day: date) -> bool:
    return (limit.first_day or day) <= day <= (limit.last_day or day)


def _capacity(limit: Limit, campaign: Campaign, fleet: Fleet) -> int:
    if limit.at_once_fraction is None:
        return limit.at_once if limit.at_once is not None else limit.per_day or 0
    pairs = ((node, fleet.clusters[node.cluster]) for node in fleet.nodes.values())
    matching = sum(campaign.scope.matches(*pair) and limit.where.matches(*pair) for pair in pairs)
    return int(matching * limit.at_once_fraction)


def _is_frozen(freezes: Iterable[Freeze], cluster: ClusterId, day: date, campaign: Campaign) -> bool:
    daily = campaign.daily_window
    out = day_interval(day, daily.start, daily.back_in_service_by, campaign.timezone)
    return any(freeze.scope.name == cluster and out.overlaps(Interval(freeze.start, freeze.end)) for freeze in freezes)


def measure_bookings(booked: Sequence[Booking], campaign: Campaign) -> dict[str, float]:
    """What a schedule is worth, as figures of a benchmark."""
    late = sum(len(nodes) * max(0, (day - campaign.deadline).days) for day, nodes in booked)
    last = max((day for day, _ in booked), default=campaign.first_day)
    days = (last - campaign.first_day).days + 1
    return {"windows": len(booked), "late_node_days": late, "days": days, "nodes": sum(len(n) for _, n in booked)}


def check_plainly(place: Place) -> Sample:
    """Each node once, never more out than the fleet's cap, back by the promised time."""
    read = read_scenario(Path(place["scenario"]))
    made = read_plan(Path(place["folder"], "plan.json"))
    with Watch() as watch:
        broken = sum(_broken(made, read.campaign))
    return watch.sample(violations=broken)


def _broken(made: Plan, campaign: Campaign) -> Iterator[bool]:
    names = [name for window in made.windows for name in window.nodes]
    yield len(names) != len(set(names))
    caps = [
        x.at_once for x in campaign.limits if x.what is LimitKind.NODES_OUT and x.at_once and not x.where.conditions
    ]
    moves = [(w.start, len(w.nodes)) for w in made.windows] + [(w.end, -len(w.nodes)) for w in made.windows]
    out = itertools.accumulate(change for _, change in sorted(moves))
    yield max(out, default=0) > min(caps, default=len(names))
    daily = campaign.daily_window
    for window in made.windows:
        day = calendar_day(window.start, campaign.timezone)
        room = day_interval(day, daily.start, daily.back_in_service_by, campaign.timezone)
        yield not room.start <= window.start < window.end <= room.end


if __name__ == "__main__":
    main()
