"""Whether what was written on nodes is still approved when they are about to go back: asked anew each time."""

from collections.abc import Iterable, Mapping

from fermata.domain.consent import find_consent
from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, PlanId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.pending import Due, FleetPending, UnitPending
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.reasons import Reason
from fermata.domain.scripts import WindowScript
from fermata.execution.stage import Score, Stage
from fermata.store import consent, inventory
from fermata.store.database import Connection

GOES_BACK = frozenset({UnitState.VERIFYING, UnitState.PROVEN})


def find_gaps(stage: Stage, conn: Connection, ops: Iterable[UnitOp]) -> Mapping[NodeId, tuple[Reason, ...]]:
    """Of the nodes among `ops` that may go back now: what consent to their work lacks, () for nothing.

    A word that was said after work began is heard, too: people are refused it then, so that it can only be there when
    something is wrong, and somebody has to look.
    """
    going = [op for op in ops if op.kind is UnitKind.NODE and op.state in GOES_BACK]
    if not going:
        return {}
    policy, ledger = inventory.load_policy(conn), consent.load_ledger(conn)
    by_plan: dict[PlanId, list[UnitOp]] = {}
    for op in going:
        by_plan.setdefault(stage.windows[op.window].plan, []).append(op)
    found: dict[NodeId, tuple[Reason, ...]] = {}
    for plan, members in by_plan.items():
        scripts = {op.window: stage.script(op.window) for op in members}
        written = {NodeId(op.unit): _written(scripts[op.window], NodeId(op.unit)) for op in members}
        found |= _judge(stage.score(plan), written, policy, ledger)
    return found


def _judge(
    score: Score, written: Mapping[NodeId, UnitPending], policy: Policy, ledger: tuple[ConsentEntry, ...]
) -> dict[NodeId, tuple[Reason, ...]]:
    """As `find_consent` judges what is due, of these nodes by themselves."""
    nodes = {name: score.fleet.nodes[name] for name in written}
    clusters = {node.cluster: score.fleet.clusters[node.cluster] for node in nodes.values()}
    part = Fleet(clusters=clusters, nodes=nodes, devices={})
    pending = FleetPending(nodes=written, devices={}, asked=score.pending.asked)
    gaps = find_consent(part, policy, pending, ledger).gaps
    return {name: (gaps[name],) if name in gaps else () for name in nodes}


def _written(script: WindowScript, node: NodeId) -> UnitPending:
    targets = script.targets(node)
    return UnitPending(due=tuple(Due(update=script.by_id[t.update], from_version="") for t in targets))
