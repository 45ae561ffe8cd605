"""Who of a window's nodes is still to be let in to an update, by fault domain: counted from rows, or kept as they
change.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fermata.domain.ids import NodeId, UpdateId, WindowId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import Gate, UnitOp
from fermata.domain.scripts import APPLY_PREFIX, WindowScript
from fermata.domain.updates import Update

# A fault domain keeps letting nodes in until this share of them is in: its last few come after the domains that wait
# for its place. What is left over all domains has to fit, with the fallout, into what a return threshold leaves.
TURN_SHARE = 0.97
_ALMOST = 1e-6  # (1 - 0.97) x 100 is a little more or less than 3 in floating point

Standing = Callable[[str], UnitOp | None]  # where a unit of the window stands; None: it was not taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The nodes of a window on which one update is due, counted by fault domain.

    `stragglers`: how many may come last. `to_come`: neither written nor being written, and still conducted; who is let
    in is taken off. `waiting`: domains in which a node waits for its turn.
    """

    stragglers: Mapping[str, int]
    to_come: dict[str, int]
    waiting: frozenset[str]


CountQueue = Callable[[WindowScript, Update, Standing], Queue]


@dataclass(slots=True, kw_only=True)
class _Count:
    """Of one update in one window, as the rows stand."""

    update: Update
    script: WindowScript
    sizes: Counter[str] = field(default_factory=Counter)
    to_come: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)

    def is_due(self, unit: str) -> bool:
        """True of nodes that the update is due on."""
        own = self.script.nodes.get(NodeId(unit))
        return own is not None and bool(own.due & self.script.bits[self.update.id])

    def add(self, op: UnitOp, sign: int) -> None:
        """A node on which it is due stands so from now on; -1: no more."""
        label = APPLY_PREFIX + self.update.id
        is_writing = op.state is UnitState.APPLYING and op.step == label
        is_written = bool((op.applied | op.active) & self.script.bits[self.update.id])
        if is_written or is_writing or op.tail_since is not None or op.finished_at is not None:
            return
        self.to_come[op.fault_domain] += sign
        if op.gate is Gate.ISOLATION and op.step == label:
            self.waiting[op.fault_domain] += sign

    def tell(self) -> Queue:
        """As it is now, for a batch that counts on."""
        return Queue(
            stragglers={domain: int(size * (1 - TURN_SHARE) + _ALMOST) for domain, size in self.sizes.items()},
            to_come={domain: nodes for domain, nodes in self.to_come.items() if nodes},
            waiting=frozenset(domain for domain, nodes in self.waiting.items() if nodes),
        )


def count_queue(script: WindowScript, update: Update, standing: Standing) -> Queue:
    """The queue of `update` as the window's nodes stand now."""
    return _count(script, update, standing).tell()


def _count(script: WindowScript, update: Update, standing: Standing) -> _Count:
    found = _Count(update=update, script=script)
    for name in script.nodes:
        op = standing(name)
        if op is not None and found.is_due(name):
            found.sizes[op.fault_domain] += 1
            found.add(op, 1)
    return found


class QueueBook:
    """The same counts, kept as rows change: a copy of rows, begun anew whenever it is in doubt. To count a large window
    takes longer than to decide about a hundred of its nodes.
    """

    def __init__(self) -> None:
        self._counts: dict[WindowId, dict[UpdateId, _Count]] = {}

    def count(self, script: WindowScript, update: Update, standing: Standing) -> Queue:
        """As `count_queue`, of rows that `note` was told of."""
        of_window = self._counts.setdefault(script.window.id, {})
        found = of_window.get(update.id)
        if found is None or found.script is not script or found.update is not update:
            found = of_window[update.id] = _count(script, update, standing)
        return found.tell()

    def note(self, before: UnitOp | None, after: UnitOp) -> None:
        """A row is new, or is another now."""
        counts = self._counts.get(after.window)
        if not counts:
            return
        if before is None:
            del self._counts[after.window]
            return
        for found in counts.values():
            if found.is_due(after.unit):
                found.add(before, -1)
                found.add(after, 1)

    def drop(self, window: WindowId) -> None:
        """Nothing is asked of it any more."""
        self._counts.pop(window, None)
