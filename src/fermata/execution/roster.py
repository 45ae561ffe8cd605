"""The open operations in memory: a copy of rows, indexed for the questions every batch asks. The rows are the truth:
whoever saves one says which version it was read at, and a refusal means that this copy is read again.

Units of cohorts that other workers conduct may be on it too: they are seen and counted, and never due.
"""

import heapq
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime

from fermata.domain.batch_size import TryBook
from fermata.domain.ids import DeviceId, WindowId
from fermata.domain.node_states import OUT, UnitKind, UnitState
from fermata.domain.operations import Busy, Gate, UnitOp
from fermata.domain.queues import QueueBook


class Roster:
    """All units of windows in which something is unfinished."""

    def __init__(self, ops: Iterable[UnitOp], own: Container[WindowId] | None = None) -> None:
        """`own`: the windows whose units are moved here; None: all."""
        self._own = own
        self._writing: Counter[tuple[WindowId, str, str]] = Counter()
        self._ops: dict[int, UnitOp] = {}
        self._windows: dict[WindowId, dict[str, int]] = {}
        self._parked: dict[Gate, dict[WindowId, set[int]]] = {gate: {} for gate in Gate}
        self._unproven: dict[WindowId, dict[DeviceId, UnitState]] = {}
        self._heap: list[tuple[datetime, int]] = []
        self._working: dict[int, UnitOp] = {}
        self._out: dict[int, UnitOp] = {}
        self._waiting: set[int] = set()
        self._unsettled: dict[WindowId, set[int]] = {}
        self.tries = TryBook()
        self.queues = QueueBook()
        self.put(ops)

    def put(self, ops: Iterable[UnitOp]) -> None:
        """Takes in new or changed rows."""
        for op in ops:
            before = self._ops.get(op.id)
            if before is None:
                self._windows.setdefault(op.window, {})[op.unit] = op.id
            else:
                self._take_off(before)
            self._ops[op.id] = op
            self._sort_in(op)
            self.tries.note(before, op)
            self.queues.note(before, op)
            if not self.is_own(op.window):
                continue
            if op.state is UnitState.APPLYING:
                self._writing[op.window, op.step, op.fault_domain] += 1
            if op.kind is UnitKind.DEVICE:
                self._note_device(op)
            if op.gate is not None:
                self._parked[op.gate].setdefault(op.window, set()).add(op.id)
            if op.next_at is not None:
                heapq.heappush(self._heap, (op.next_at, op.id))

    def _sort_in(self, op: UnitOp) -> None:
        """Keeps what is asked of all units by whom it is true of."""
        is_finished = op.finished_at is not None
        _keep(self._working, op, is_in=not is_finished)
        _keep(self._out, op, is_in=not is_finished and op.kind is UnitKind.NODE and op.state in OUT)
        if op.next_at is None:
            self._waiting.discard(op.id)
        else:
            self._waiting.add(op.id)
        if is_finished or op.tail_since is not None:
            if op.window in self._unsettled:
                self._unsettled[op.window].discard(op.id)
        else:
            self._unsettled.setdefault(op.window, set()).add(op.id)

    def _take_off(self, op: UnitOp) -> None:
        if not self.is_own(op.window):
            return
        if op.gate is not None:
            self._parked[op.gate][op.window].discard(op.id)
        if op.state is UnitState.APPLYING:
            place = (op.window, op.step, op.fault_domain)
            self._writing[place] -= 1
            if not self._writing[place]:
                del self._writing[place]  # what was ever written is longer by the day, and gone through in every batch

    def is_own(self, window: WindowId) -> bool:
        """True when units of the window are moved here."""
        return self._own is None or window in self._own

    def busy(self) -> list[Busy]:
        """Who writes what, of the windows whose units are moved here."""
        return [
            Busy(window=window, step=step, fault_domain=domain, units=units)
            for (window, step, domain), units in self._writing.items()
        ]

    def get(self, id_: int) -> UnitOp:
        """The row as it is known."""
        return self._ops[id_]

    def due(self, now: datetime, limit: int) -> list[UnitOp]:
        """Those about which something is to be decided at `now`, longest waiting first. They stay due."""
        found: list[UnitOp] = []
        taken: list[tuple[datetime, int]] = []
        seen: set[int] = set()
        while self._heap and self._heap[0][0] <= now and len(found) < limit:
            entry = heapq.heappop(self._heap)
            if self._is_current(entry) and entry[1] not in seen:
                seen.add(entry[1])
                taken.append(entry)
                found.append(self._ops[entry[1]])
        for entry in taken:
            heapq.heappush(self._heap, entry)
        return found

    def next_due(self) -> datetime | None:
        """When something is due next, or None."""
        while self._heap and not self._is_current(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _is_current(self, entry: tuple[datetime, int]) -> bool:
        op = self._ops.get(entry[1])
        return op is not None and op.next_at == entry[0]

    def parked(self, gate: Gate, window: WindowId | None = None) -> list[UnitOp]:
        """Those that wait at `gate`, of one window or of all, in the plan's order."""
        return sorted(self.at_gate(gate, window), key=lambda op: (op.rank, op.id))

    def at_gate(self, gate: Gate, window: WindowId | None = None) -> Iterator[UnitOp]:
        """The same in no order."""
        windows = self._parked[gate]
        ids = windows.get(window, ()) if window is not None else [i for found in windows.values() for i in found]
        return (self._ops[i] for i in ids)

    def of_window(self, window: WindowId) -> list[UnitOp]:
        """Every unit of a window that is on the roster."""
        return [self._ops[i] for i in self._windows.get(window, {}).values()]

    def standing(self, window: WindowId, unit: str) -> UnitOp | None:
        """One unit of a window, or None when it was not taken."""
        id_ = self._windows.get(window, {}).get(unit)
        return None if id_ is None else self._ops[id_]

    def unproven_devices(self, window: WindowId) -> Mapping[DeviceId, UnitState]:
        """The devices of a window that are not proven, with their state."""
        return self._unproven.get(window, {})

    def _note_device(self, op: UnitOp) -> None:
        of_window = self._unproven.setdefault(op.window, {})
        if op.state is UnitState.PROVEN:
            of_window.pop(DeviceId(op.unit), None)
        else:
            of_window[DeviceId(op.unit)] = op.state

    def is_settled(self, window: WindowId) -> bool:
        """True when every unit of the window is finished or on the tail list."""
        return not self._unsettled.get(window)

    def working(self) -> Iterable[UnitOp]:
        """Every unit that is not finished."""
        return self._working.values()

    def out(self) -> Iterable[UnitOp]:
        """Every node that is held and not finished."""
        return self._out.values()

    def has_others(self) -> bool:
        """True when units are on it that another worker moves."""
        return any(not self.is_own(window) for window in self._windows)

    def is_anything_left(self) -> bool:
        """True while something is to be decided about a unit, here or by another worker."""
        return bool(self._waiting)

    def drop_finished(self, window: WindowId) -> bool:
        """Lets go of a window in which everything is finished. False: something is left."""
        members = self.of_window(window)
        if any(op.finished_at is None for op in members):
            return False
        for op in members:
            del self._ops[op.id]
        self._windows.pop(window, None)
        self._unproven.pop(window, None)
        self._unsettled.pop(window, None)
        self.tries.drop(window)
        self.queues.drop(window)
        return True


def _keep(found: dict[int, UnitOp], op: UnitOp, *, is_in: bool) -> None:
    if is_in:
        found[op.id] = op
    else:
        found.pop(op.id, None)
