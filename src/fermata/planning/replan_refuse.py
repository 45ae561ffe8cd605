"""Whether a plan can be followed at all: asked before a re-plan is made, and answered with what to mend."""

from collections.abc import Iterator

from fermata.domain.observed import NOTHING_SEEN
from fermata.domain.plans import DeviceApplyStep, Plan, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.windows import calendar_day
from fermata.planning.inputs import PlanningInput

KNOWN_LEAST = 0.5  # of its nodes; a fleet that lost more than half of them between two plans is another fleet


class ParentRefused(Exception):
    """The parent plan or what was observed of it does not fit the inputs; `reason` says what to mend."""

    def __init__(self, why: Reason) -> None:
        super().__init__(str(why))
        self.reason = why


def refuse_parent(inputs: PlanningInput) -> None:
    """Raises ParentRefused when `inputs.parent` cannot be followed from `inputs.now` with what was observed."""
    parent = inputs.parent
    assert parent is not None, "there is a plan to follow"
    why = _of_another(inputs, parent) or next(_left_open(inputs, parent), None) or next(_contradicted(inputs), None)
    if why is not None:
        raise ParentRefused(why)


def _of_another(inputs: PlanningInput, parent: Plan) -> Reason | None:
    campaign = inputs.campaign
    if inputs.max_breach is not None:
        return reason(Code.BREACH_OF_REPLAN)
    if parent.campaign != campaign.id:
        return reason(Code.PARENT_OF_OTHER_CAMPAIGN, plan=parent.id, other=parent.campaign, campaign=campaign.id)
    names = {name for window in parent.windows for name in window.nodes}
    known = sum(1 for name in names if name in inputs.fleet.nodes)
    if known < KNOWN_LEAST * len(names):
        return reason(Code.PARENT_OF_OTHER_FLEET, plan=parent.id, known=f"{known:,}", nodes=f"{len(names):,}")
    if inputs.now < parent.created_at:
        created, as_of = f"{parent.created_at:%Y-%m-%d %H:%MZ}", f"{inputs.now:%Y-%m-%d %H:%MZ}"
        return reason(Code.PARENT_LATER, plan=parent.id, created=created, as_of=as_of)
    return None


def _left_open(inputs: PlanningInput, parent: Plan) -> Iterator[Reason]:
    """Windows that have begun and that nobody tells of; windows that ran where the campaign is no more."""
    observed = inputs.observed if inputs.observed is not None else NOTHING_SEEN
    told = {seen.window for seen in observed.windows}
    untold = [w.id for w in parent.windows if w.start < inputs.now and w.id not in told]
    if untold and not observed.as_planned:
        as_of = f"{inputs.now:%Y-%m-%d %H:%MZ}"
        yield reason(Code.RAN_UNOBSERVED, plan=parent.id, count=len(untold), as_of=as_of, example=untold[0])
    for window in inputs.standing.history:
        where = _where_outside(inputs, window)
        if where:
            yield reason(Code.RAN_OUTSIDE, window=window.id, where=where)


def _where_outside(inputs: PlanningInput, window: Window) -> str:
    campaign, cluster = inputs.campaign, inputs.fleet.clusters.get(window.cluster)
    if cluster is None:
        return f"on {window.cluster}, which is not in the inventory any more"
    if not campaign.scope.matches_cluster(cluster):
        return f"on {window.cluster}"
    day = calendar_day(window.start, campaign.timezone)
    return "" if campaign.first_day <= day <= campaign.extension_until else f"on {day}"


def _contradicted(inputs: PlanningInput) -> Iterator[Reason]:
    """Nodes and devices said to be serviced on which a later inventory reports the same work due."""
    observed = inputs.observed
    if observed is None or not observed.in_inventory:
        return
    pending = inputs.pending_now
    for window in inputs.standing.history:
        if window.id in inputs.standing.running:
            continue
        seen = inputs.standing.seen.get(window.id)
        tail = {item.node for item in seen.tail} if seen is not None else set()
        for name in window.nodes:
            due = [x.update.id for x in pending.nodes[name].due] if name in pending.nodes and name not in tail else []
            if due:
                yield reason(Code.OBSERVED_CONTRADICTED, unit=name, window=window.id, update=due[0])
        yield from _devices_contradicted(inputs, window)


def _devices_contradicted(inputs: PlanningInput, window: Window) -> Iterator[Reason]:
    members = frozenset(window.nodes)
    for step in (step for step in window.steps if isinstance(step, DeviceApplyStep)):
        for name in step.devices:
            due = inputs.pending_now.devices[name].due if name in inputs.pending_now.devices else ()
            still = any(item.update.id == step.update and item.update.needs_drain for item in due)
            if still and any(n.name in members for n in inputs.fleet.nodes_behind(inputs.fleet.devices[name])):
                yield reason(Code.OBSERVED_CONTRADICTED, unit=name, window=window.id, update=step.update)
