"""Whether what was written on nodes is still approved when they are about to go back: asked anew each time."""

from collections.abc import Collection, Iterable, Mapping

from fermata.domain.consent_of_written import gaps_of_written
from fermata.domain.ids import NodeId, PlanId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.readmission import Target
from fermata.domain.reasons import Reason
from fermata.execution.stage import Stage
from fermata.store import consent, inventory

GOES_BACK = frozenset({UnitState.VERIFYING, UnitState.PROVEN})


def find_gaps(stage: Stage, ops: Iterable[UnitOp], also: Collection[int]) -> Mapping[NodeId, tuple[Reason, ...]]:
    """Of the nodes among `ops` that may go back now: what consent to their work lacks, () for nothing. `also`: rows
    that an abort may send back from where they stand.
    """
    going = [op for op in ops if op.kind is UnitKind.NODE and (op.state in GOES_BACK or op.id in also)]
    if not going:
        return {}
    with stage.database.read() as conn:
        policy, seq = inventory.load_policy(conn), consent.last_seq(conn)
        if stage.ledger is None or stage.ledger[0] != seq:
            stage.ledger = (seq, consent.load_ledger(conn))
    ledger = stage.ledger[1]
    by_plan: dict[PlanId, dict[NodeId, tuple[Target, ...]]] = {}
    for op in going:
        node = NodeId(op.unit)
        by_plan.setdefault(stage.windows[op.window].plan, {})[node] = stage.script(op.window).targets(node, op.undo)
    found: dict[NodeId, tuple[Reason, ...]] = {}
    for plan, written in by_plan.items():
        score = stage.score(plan)
        found |= gaps_of_written(
            score.fleet, policy, ledger, written, updates=stage.catalogue.updates, asked=score.pending.asked
        )
    return found
