"""How many nodes of a window write one update at once: all that its bounds allow, fewer while its tries fail.

Counted from rows, so that no restart forgets it, and without an order of events: every failed try halves the number,
every `PAYS` nodes that took the update double it again, up to the bound. So an update that fails on fewer than one
try in `PAYS` keeps its speed, and one that fails more often comes down to a node at a time.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

from fermata.domain.ids import NodeId, UpdateId, WindowId
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


CountTries = Callable[[WindowScript, Update, Callable[[str], UnitOp | None], Catalogue], Tried]


@dataclass(slots=True, kw_only=True)
class _Count:
    """Of one update in one window, as the rows stand."""

    update: Update
    script: WindowScript
    domains: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    succeeded: int = 0

    @property
    def bit(self) -> int:
        """Of the update, in the masks of rows."""
        return self.script.bits[self.update.id]

    def add(self, op: UnitOp) -> None:
        """Takes in a node of the window that is new."""
        if not self._is_due(op):
            return
        self.domains[op.fault_domain] += 1
        self.failed += count_failed(op, APPLY_PREFIX + self.update.id)
        self.succeeded += self._has_taken(op)

    def move(self, before: UnitOp, after: UnitOp) -> None:
        """A node that was taken in stands otherwise now."""
        if not self._is_due(after):
            return
        label = APPLY_PREFIX + self.update.id
        self.failed += count_failed(after, label) - count_failed(before, label)
        self.succeeded += self._has_taken(after) - self._has_taken(before)

    def _is_due(self, op: UnitOp) -> bool:
        own = self.script.nodes.get(NodeId(op.unit))
        return own is not None and bool(own.due & self.bit)

    def _has_taken(self, op: UnitOp) -> bool:
        """Who ran it before proves nothing of it."""
        return bool((op.applied | op.active) & self.bit) and not _ran_before(op, self.update)

    def tell(self, catalogue: Catalogue) -> Tried:
        """With the bounds of the update and its team."""
        bound = _bound(self.update, self.domains, len(self.script.nodes))
        limit = catalogue.team_limits.get(self.update.owner_team)
        bound = bound if limit is None else min(bound, limit)
        return Tried(bound=bound, failed=self.failed, succeeded=self.succeeded)


def count_tries(
    script: WindowScript, update: Update, standing: Callable[[str], UnitOp | None], catalogue: Catalogue
) -> Tried:
    """What came of `update` on the window's nodes as they stand now."""
    return _count(script, update, standing).tell(catalogue)


def _count(script: WindowScript, update: Update, standing: Callable[[str], UnitOp | None]) -> _Count:
    found = _Count(update=update, script=script)
    for name in script.nodes:
        op = standing(name)
        if op is not None:
            found.add(op)
    return found


class TryBook:
    """The same counts, kept as rows change: a copy of rows, begun anew whenever it is in doubt."""

    def __init__(self) -> None:
        self._counts: dict[WindowId, dict[UpdateId, _Count]] = {}

    def count(
        self, script: WindowScript, update: Update, standing: Callable[[str], UnitOp | None], catalogue: Catalogue
    ) -> Tried:
        """As `count_tries`, of rows that `note` was told of."""
        of_window = self._counts.setdefault(script.window.id, {})
        found = of_window.get(update.id)
        if found is None or found.script is not script or found.update is not update:
            found = of_window[update.id] = _count(script, update, standing)
        return found.tell(catalogue)

    def note(self, before: UnitOp | None, after: UnitOp) -> None:
        """A row is new, or is another now."""
        if before is None:
            self._counts.pop(after.window, None)
        elif counts := self._counts.get(after.window):
            written = (before.applied | before.active) ^ (after.applied | after.active)
            is_other = _tells_other(before, after)
            for found in counts.values():
                if is_other or written & found.bit:
                    found.move(before, after)

    def drop(self, window: WindowId) -> None:
        """Nothing is asked of it any more."""
        self._counts.pop(window, None)


def _tells_other(before: UnitOp, after: UnitOp) -> bool:
    """False when the two count alike for every update but those of which one has more written, as after most
    decisions.
    """
    return (
        before.retries != after.retries
        or before.state in _GAVE_UP
        or after.state in _GAVE_UP
        or before.versions_before != after.versions_before
    )


_GAVE_UP = frozenset({UnitState.FAILED, UnitState.LEFT_OUT})


def _ran_before(op: UnitOp, update: Update) -> bool:
    return is_at_least((op.versions_before or {}).get(update.component, ""), update.to_version)


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
