"""What a stage holds in memory beside plans and units: its gates, the roll-backs ordered, words said in rooms."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.gate_book import GateBook
from fermata.domain.gate_evidence import BaseRate
from fermata.domain.gates import GateState
from fermata.domain.ids import UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import Busy
from fermata.domain.recovery import RecoveryOrder
from fermata.domain.room import RoomLine
from fermata.domain.scripts import as_apply
from fermata.execution.roster import Roster


@dataclass(kw_only=True)
class GateDesk:
    """The gates of the run: what is known of its updates, the verdicts as stored, and the fleet's own rate.

    `book` and `base` None: not worked out yet. `unsaved`: more is known of these gates than was stored at `saved_at`.
    `newest_failure`: the number of the last one in the book. `in_play`: see `gating`, with how the windows stood then.
    """

    book: GateBook | None = None
    base: BaseRate | None = None
    states: dict[UpdateId, GateState] = field(default_factory=dict)
    latest_word: datetime | None = None
    unsaved: set[UpdateId] = field(default_factory=set)
    saved_at: datetime | None = None
    newest_failure: int = 0
    in_play: tuple[tuple[int, int], frozenset[UpdateId]] = ((0, 0), frozenset())


@dataclass(kw_only=True)
class UndoDesk:
    """The roll-backs that were ordered in this run. `latest`: grows with every order."""

    latest: int = 0
    orders: tuple[RecoveryOrder, ...] = ()
    by_unit: dict[tuple[WindowId, str], tuple[RecoveryOrder, ...]] = field(default_factory=dict)
    targets: dict[tuple[WindowId, str], dict[UpdateId, str]] = field(default_factory=dict)

    def load(self, orders: Sequence[RecoveryOrder]) -> None:
        """Takes these as all there are."""
        self.orders = tuple(orders)
        self.by_unit, self.targets = {}, {}
        for order in orders:
            key = (order.window, order.unit)
            self.by_unit[key] = (*self.by_unit.get(key, ()), order)
            self.targets.setdefault(key, {})[order.update] = order.to_version

    def has(self, window: WindowId, unit: str, update: UpdateId) -> bool:
        """True when that was ordered already."""
        return update in self.targets.get((window, unit), {})

    def waiting(self, roster: Roster) -> dict[tuple[WindowId, str], tuple[RecoveryOrder, ...]]:
        """Orders of units whose row on the roster does not carry them yet, or which are not on it; those of devices in
        any case, since they are about the nodes behind, too.
        """
        found = {}
        for key, orders in self.by_unit.items():
            op = roster.standing(*key)
            if op is None or op.finished_at is not None or not op.undo or op.kind is UnitKind.DEVICE:
                found[key] = orders
        return found

    def writing(self, roster: Roster) -> list[Busy]:
        """Devices on which the version from before is being written: they take room like those that bring it."""
        ops = (roster.standing(*key) for key in self.by_unit)
        return [
            Busy(window=op.window, step=as_apply(op.step), fault_domain=op.fault_domain, units=1)
            for op in ops
            if op is not None
            and op.kind is UnitKind.DEVICE
            and op.state is UnitState.RECOVERING
            and roster.is_own(op.window)
        ]


@dataclass(kw_only=True)
class RoomDesk:
    """The words of go in the rooms of the run. `newest`: of the last line of people that was read, None before the
    first look. `next_at`: when a room is due a message at the latest; `seen`: how windows stood when that was found.
    """

    newest: int | None = None
    words: dict[tuple[WindowId, str], RoomLine] = field(default_factory=dict)
    next_at: datetime | None = None
    seen: object = None
