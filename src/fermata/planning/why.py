"""Why a plan treats a window, a cluster or a node as it does: what `fermata why` and the plan's report tell.

Pure, and cheap enough to ask for every window: a plan is read against the inputs that it was made from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from fermata.domain.consent import consent_gaps
from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.flights import find_flights
from fermata.domain.ids import CampaignId, ClusterId, DeviceId, NodeId, PlanId, UpdateId
from fermata.domain.ledger import Decisions, say_given
from fermata.domain.pending import FleetPending, draining_devices, find_pending
from fermata.domain.pending_lines import PendingFilter, PendingLine, list_lines
from fermata.domain.plan_codes import PlanCode
from fermata.domain.plans import DeviceApplyStep, NodeApplyStep, Plan, RebootStep, Step, Unplanned, Window
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.scripts import read_script
from fermata.planning.inputs import PlanningInput
from fermata.planning.why_mode import explain_mode
from fermata.planning.why_window import WindowExplainer, WindowWhy


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterWhy:
    """A cluster: why it is taken whole or in parts (`reasons`; or why not at all), its windows, and what stays out."""

    cluster: ClusterId
    nodes: int
    reasons: tuple[Reason, ...]
    windows: tuple[WindowWhy, ...]
    unplanned: tuple[Unplanned, ...]
    kind: Literal["cluster"] = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStep:
    """One step that the node goes through or waits for; `devices` are those it hangs on that are worked on."""

    step: str
    updates: tuple[UpdateId, ...]
    devices: tuple[DeviceId, ...]
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWhy:
    """A node: its window with its own steps in it, or in `reasons` why it has none; what is pending; consent. `reasons`
    also say what is tried there as a flight, or why not.
    """

    node: NodeId
    cluster: ClusterId
    rack: str
    window: WindowWhy | None
    reasons: tuple[Reason, ...]
    consent: Reason
    pending: tuple[PendingLine, ...]
    steps: tuple[NodeStep, ...]
    kind: Literal["node"] = "node"


WhyAnswer = WindowWhy | ClusterWhy | NodeWhy


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a plan has to say about one window, cluster or node."""

    plan: PlanId
    campaign: CampaignId
    about: WhyAnswer


def explain_name(inputs: PlanningInput, plan: Plan, name: str) -> Explanation | None:
    """The window, cluster or node of that name; None when there is none. `inputs` are those the plan was made from,
    with its own moment as `now`.
    """
    about = _find_answer(inputs, plan, name)
    return Explanation(plan=plan.id, campaign=plan.campaign, about=about) if about is not None else None


def _find_answer(inputs: PlanningInput, plan: Plan, name: str) -> WhyAnswer | None:
    window = next((window for window in plan.windows if window.id == name), None)
    if window is not None:
        return WindowExplainer(inputs, plan).explain(window)
    if name in inputs.fleet.clusters:
        return explain_cluster(inputs, plan, inputs.fleet.clusters[ClusterId(name)])
    if name in inputs.fleet.nodes:
        return explain_node(inputs, plan, inputs.fleet.nodes[NodeId(name)])
    return None


def list_names(inputs: PlanningInput, plan: Plan) -> Sequence[str]:
    """Every name that can be asked for."""
    return [*(window.id for window in plan.windows), *inputs.fleet.clusters, *inputs.fleet.nodes]


def explain_cluster(inputs: PlanningInput, plan: Plan, cluster: Cluster) -> ClusterWhy:
    """Its way and all its windows."""
    windows = [window for window in plan.windows if window.cluster == cluster.name]
    unplanned = tuple(group for group in plan.unplanned if group.cluster == cluster.name)
    explainer = WindowExplainer(inputs, plan)
    if windows:
        reasons = explain_mode(explainer.loads, narrow_inputs(inputs, cluster), windows)
    else:
        reasons = tuple(dict.fromkeys(group.reason for group in unplanned))
    return ClusterWhy(
        cluster=cluster.name,
        nodes=len(inputs.fleet.nodes_by_cluster[cluster.name]),
        reasons=reasons or (_nothing(inputs, cluster, cluster.name),),
        windows=tuple(explainer.explain(window) for window in windows),
        unplanned=unplanned,
    )


def explain_node(inputs: PlanningInput, plan: Plan, node: Node) -> NodeWhy:
    """Its window and steps, or why it has none."""
    cluster = inputs.fleet.clusters[node.cluster]
    near = narrow_inputs(inputs, cluster)
    pending = find_pending(near.fleet, near.catalogue, near.campaign.updates)
    window = next((window for window in plan.windows if node.name in window.nodes), None)
    group = next((group for group in plan.unplanned if node.name in group.nodes), None)
    reasons: tuple[Reason, ...] = ()
    if window is None:
        reasons = (group.reason if group else _nothing(inputs, cluster, node.name),)
    lines = list_lines(near.fleet, near.catalogue, near.policy, pending, PendingFilter(nodes=frozenset({node.name})))
    reasons = (*reasons, *_flights(inputs, node))
    return NodeWhy(
        node=node.name,
        cluster=node.cluster,
        rack=node.rack,
        window=WindowExplainer(inputs, plan).explain(window) if window else None,
        reasons=reasons,
        consent=_consent(near, pending, node, cluster),
        pending=tuple(lines),
        steps=_steps(near, pending, window, node) if window else (),
    )


def _flights(inputs: PlanningInput, node: Node) -> tuple[Reason, ...]:
    """What is tried on the node, and what was approved to be tried and is not."""
    flown = [each.update for each in inputs.catalogue.flights if node.name in each.nodes]
    flights = find_flights(inputs.fleet, inputs.catalogue, inputs.policy, inputs.ledger or ())
    grounded = (f.grounded[node.name] for f in flights if f.update not in flown and node.name in f.grounded)
    return (*(reason(Code.FLIGHT_HERE, update=name, node=node.name) for name in flown), *grounded)


def narrow_inputs(inputs: PlanningInput, cluster: Cluster) -> PlanningInput:
    """The same with a fleet of that cluster alone: for questions that concern no other."""
    fleet = inputs.fleet
    nodes = {node.name: node for node in fleet.nodes_by_cluster[cluster.name]}
    devices = {device.name: device for device in fleet.devices_by_cluster[cluster.name]}
    return replace(inputs, fleet=Fleet(clusters={cluster.name: cluster}, nodes=nodes, devices=devices))


def _nothing(inputs: PlanningInput, cluster: Cluster, unit: str) -> Reason:
    campaign = inputs.campaign
    if not campaign.scope.matches_cluster(cluster):
        return reason(PlanCode.OUT_OF_SCOPE, cluster=cluster.name, campaign=campaign.id)
    return reason(PlanCode.NOTHING_DUE, campaign=campaign.id, unit=unit)


def _consent(inputs: PlanningInput, pending: FleetPending, node: Node, cluster: Cluster) -> Reason:
    if inputs.ledger is None:
        return reason(PlanCode.CONSENT_ASSUMED, customer=cluster.customer)
    gaps = consent_gaps(inputs.fleet, inputs.policy, pending, inputs.ledger)
    if node.name in gaps:
        return gaps[node.name]
    due = [item.update for item in pending.of_node(node).due]
    for device in draining_devices(inputs.fleet, pending, node):
        due.extend(item.update for item in pending.of_device(device).due)
    decided = Decisions(inputs.fleet, inputs.ledger)
    asked = [update.id for update in due if inputs.policy.needs_asking(update, node, cluster)]
    given = next((entry for name in asked if (entry := decided.is_approved(node, name))), None)
    return reason(PlanCode.CONSENT_NOT_NEEDED, customer=cluster.customer) if given is None else say_given(given)


def _steps(inputs: PlanningInput, pending: FleetPending, window: Window, node: Node) -> tuple[NodeStep, ...]:
    script = read_script(window, inputs.fleet, pending, inputs.catalogue)
    own = script.nodes[node.name]
    found = [_step(script.steps[index], ()) for index in own.steps]
    for index in sorted({script.devices[name].step for name in own.devices}):
        there = tuple(name for name in own.devices if script.devices[name].step == index)
        found.append(_step(script.steps[index], there))
    return tuple(sorted(found, key=lambda step: (step.start, step.end)))


def _step(step: Step, devices: tuple[DeviceId, ...]) -> NodeStep:
    updates: tuple[UpdateId, ...] = ()
    if isinstance(step, NodeApplyStep | DeviceApplyStep):
        updates = (step.update,)
    elif isinstance(step, RebootStep):
        updates = step.activates
    return NodeStep(step=step.step, updates=updates, devices=devices, start=step.start, end=step.end)
