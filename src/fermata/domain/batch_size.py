"""How many nodes of a window write one update at once: all that its bounds allow, fewer while its tries fail.

Counted from rows, so that no restart forgets it, and without an order of events: every failed try halves the number,
every `PAYS` nodes that took the update double it again, up to the bound. So an update that fails on fewer than one
try in `PAYS` keeps its speed, and one that fails more often comes down to a node at a time.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Code
from fermata.domain.scripts import APPLY_PREFIX, RESET_PREFIX, WindowScript
from fermata.domain.updates import Catalogue, IsolationBy, Update
from fermata.domain.versions import is_at_least

# Twice what the field calls normal: 1-2 % of nodes do not come back from an update, and about as many need a second
# try. An update that fails on one node in twenty is worth slowing down for.
PAYS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of one update in one window so far. `bound`: the most nodes that may ever write it at once."""

    bound: int
    failed: int
    succeeded: int

    @property
    def at_once(self) -> int:
        """How many nodes may write it at once now; at least one, since only tries show that it got better."""
        debt = self.failed - self.succeeded / PAYS
        if debt <= 0:
            return max(1, self.bound)
        return max(1, int(self.bound * 0.5**debt))


def count_tries(
    script: WindowScript, update: Update, standing: Callable[[str], UnitOp | None], catalogue: Catalogue
) -> Tried:
    """What came of `update` on the window's nodes as they stand now. Who ran it before proves nothing of it."""
    bit, label = script.bits[update.id], APPLY_PREFIX + update.id
    domains: Counter[str] = Counter()
    failed = succeeded = 0
    for own in script.nodes.values():
        op = standing(own.node)
        if op is None or not own.due & bit:
            continue
        domains[op.fault_domain] += 1
        failed += count_failed(op, label)
        ran_before = is_at_least((op.versions_before or {}).get(update.component, ""), update.to_version)
        succeeded += bool((op.applied | op.active) & bit) and not ran_before
    bound = _bound(update, domains, len(script.nodes))
    limit = catalogue.team_limits.get(update.owner_team)
    return Tried(bound=bound if limit is None else min(bound, limit), failed=failed, succeeded=succeeded)


def count_failed(op: UnitOp, label: str) -> int:
    """Tries of one step on one unit that failed. The last try of who gave up stands in its state alone."""
    left = op.state is UnitState.LEFT_OUT and op.reason is not None and op.reason.code is Code.RIDE_FAILED
    gave_up = op.state is UnitState.FAILED or left
    return op.retries.get(label, 0) + (gave_up and op.step.removeprefix(RESET_PREFIX) == label)


def _bound(update: Update, domains: Counter[str], nodes: int) -> int:
    match update.isolation.by:
        case IsolationBy.NONE:
            return domains.total()
        case IsolationBy.FAULT_DOMAIN:
            return sum(count for _, count in domains.most_common(update.isolation.at_once))
        case IsolationBy.PERCENT:
            return max(1, nodes * update.isolation.at_once // 100)
        case _:
            assert_never(update.isolation.by)
