"""Trying a policy: what would happen to an update on a node at a time, by the store or by files alone."""

from datetime import datetime

from fermata.domain.ids import NodeId, UpdateId
from fermata.domain.policy_trial import Trial, try_policy
from fermata.domain.reasons import Code, reason
from fermata.services.errors import Refusal, nearest
from fermata.services.requests import Inputs, read_inputs
from fermata.store.database import Database


def try_update(source: Database | Inputs, node: str, update: str, *, at: datetime) -> Trial:
    """Does nothing. `at` is aware UTC. Raises Refusal for a node or an update that nobody knows."""
    inputs = read_inputs(source) if isinstance(source, Database) else source
    known, updates = inputs.fleet.nodes, inputs.catalogue.updates
    if node not in known:
        raise Refusal(reason(Code.SCOPE_UNKNOWN, level="node", name=node, nearest=nearest(node, known)))
    if update not in updates:
        raise Refusal(reason(Code.NO_SUCH_UPDATE, update=update, nearest=nearest(update, updates)))
    return try_policy(
        inputs.fleet,
        inputs.policy,
        inputs.ledger,
        node=known[NodeId(node)],
        update=updates[UpdateId(update)],
        at=at,
    )
