"""Counts what is known of every update of a run, unit by unit as rows change: a copy of rows, rebuilt at any time."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from operator import itemgetter

from fermata.domain.gate_evidence import Evidence, RackEvidence, begun_mask, proven_mask
from fermata.domain.ids import UpdateId, WindowId
from fermata.domain.node_states import BACK, UnitKind, UnitState
from fermata.domain.operations import UnitOp

Bits = Callable[[WindowId], Mapping[UpdateId, int]]  # the bit of each update in the masks of a window


class FailureKind(StrEnum):
    """How a unit failed with an update."""

    FAILED = "failed"
    REGRESSED = "regressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One unit that failed, and every update that may be to blame. Kept for good, repaired or not."""

    window: WindowId
    unit: str
    rack: str
    kind: FailureKind
    updates: tuple[UpdateId, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """A node that was given back at `at`, with the updates that it was proven with and is not blamed on yet."""

    window: WindowId
    unit: str
    updates: tuple[UpdateId, ...]
    at: datetime


@dataclass(slots=True, kw_only=True)
class _Unit:
    begun: int = 0
    proven: int = 0
    failed: int = 0
    regressed: int = 0
    undone: int = 0
    back_at: datetime | None = None
    number: int
    waits: bool = False  # for metrics that speak for it: it is good with nothing before they do
    is_measured: bool = False


@dataclass(slots=True, kw_only=True)
class _Counts:
    good: int = 0
    failed: int = 0
    regressed: int = 0
    open: int = 0
    unmeasured: int = 0
    returned: list[datetime] = field(default_factory=list)
    tried_in: Counter[str] = field(default_factory=Counter)
    failed_in: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))


class GateBook:
    """Evidence per update. `bits`: as the windows' scripts number updates; `rack_of`: where a unit stands.
    `needs_metrics`: a node counts as good only once `note_measured` said so.
    """

    def __init__(self, bits: Bits, rack_of: Callable[[str], str], *, needs_metrics: bool = False) -> None:
        self._bits = bits
        self._rack_of = rack_of
        self._needs_metrics = needs_metrics
        self._lacks: dict[UpdateId, str] = {}
        self._units: dict[tuple[WindowId, str], _Unit] = {}
        self._counts: dict[UpdateId, _Counts] = {}
        self._changed: set[UpdateId] = set()
        self._back: list[tuple[datetime, int, WindowId, str]] = []  # ascending, with the numbers of units

    def note_failures(self, failures: Iterable[Failure]) -> None:
        """Takes in failures, each once: what they name was begun, whatever else the row says."""
        for failure in failures:
            bits = self._bits(failure.window)
            mask = sum(bits[update] for update in failure.updates if update in bits)
            unit = self._unit(failure.window, failure.unit)
            before = _classes(unit)
            fresh = mask & ~(unit.failed | unit.regressed)
            if failure.kind is FailureKind.FAILED:
                unit.failed |= fresh
            else:
                unit.regressed |= fresh
            unit.begun |= mask
            self._move(failure.window, failure.rack, before, unit)
            for update, bit in bits.items():
                if bit & fresh:
                    self._count(update).failed_in[failure.rack].append(failure.at)

    def note_ops(self, ops: Iterable[UnitOp]) -> None:
        """Takes in new or changed rows."""
        for op in ops:
            bits = self._bits(op.window)
            begun, proven = begun_mask(op, bits), proven_mask(op)
            if not begun and (op.window, op.unit) not in self._units:
                continue
            unit = self._unit(op.window, op.unit)
            waits = self._needs_metrics and op.kind is UnitKind.NODE and op.state is not UnitState.KEPT_OUT
            if (unit.begun | begun, proven, op.undo, waits) != (unit.begun, unit.proven, unit.undone, unit.waits):
                before = _classes(unit)
                unit.begun |= begun
                unit.proven = proven
                unit.undone = op.undo
                unit.waits = waits
                unit.is_measured = unit.is_measured and bool(proven)
                self._move(op.window, self._rack_of(op.unit), before, unit)
            if op.state in BACK and op.finished_at is not None and unit.back_at is None:
                unit.back_at = op.finished_at
                insort(self._back, (op.finished_at, unit.number, op.window, op.unit))
                self._note_return(proven, op.finished_at, bits)

    def note_measured(self, window: WindowId, name: str, lack: str) -> None:
        """Takes in what the metrics of a node say now: with `lack` nothing, without it that it is fine."""
        unit = self._units[window, name]
        before = _classes(unit)
        unit.is_measured = not lack
        self._move(window, self._rack_of(name), before, unit)
        for update, bit in self._bits(window).items():
            if lack and bit & unit.proven and self._lacks.get(update) != lack:
                self._lacks[update] = lack
                self._changed.add(update)

    def take_changed(self) -> frozenset[UpdateId]:
        """The updates about which something new is known since the last time."""
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def evidence(
        self, update: UpdateId, *, bake: timedelta, now: datetime, begun_at: datetime | None, since: datetime | None
    ) -> Evidence:
        """All that is known of it at `now`. `since`: failures in racks before it are no news any more."""
        found = self._counts.get(update)
        if found is None:
            return Evidence()
        baking = len(found.returned) - bisect_left(found.returned, now - bake)
        return Evidence(
            good=found.good,
            failed=found.failed,
            regressed=found.regressed,
            open=found.open,
            baking=baking,
            bakes_until=found.returned[-1] + bake if baking else None,
            begun_at=begun_at or now,
            worst_rack=_worst_rack(found, since),
            unmeasured=found.unmeasured,
            lack=self._lacks.get(update, "") if found.unmeasured else "",
        )

    def baking(self, bake: timedelta, now: datetime) -> tuple[Returned, ...]:
        """Nodes that were given back within `bake` and have not failed, in the order in which they were begun."""
        return self._given_back(bisect_right(self._back, now - bake, key=itemgetter(0)), lambda _: True)

    def unmeasured(self) -> tuple[Returned, ...]:
        """Nodes that were given back, whenever that was, have not failed, and wait for their metrics."""
        return self._given_back(0, lambda unit: unit.waits and not unit.is_measured) if self._needs_metrics else ()

    def _given_back(self, start: int, wanted: Callable[[_Unit], bool]) -> tuple[Returned, ...]:
        found: list[Returned] = []
        for at, _, window, name in sorted(self._back[start:], key=itemgetter(1)):
            unit = self._units[window, name]
            if wanted(unit) and not (unit.failed | unit.regressed):
                updates = tuple(update for update, bit in self._bits(window).items() if bit & unit.proven)
                if updates:
                    found.append(Returned(window=window, unit=name, updates=updates, at=at))
        return tuple(found)

    def _unit(self, window: WindowId, unit: str) -> _Unit:
        found = self._units.get((window, unit))
        if found is None:
            found = self._units[window, unit] = _Unit(number=len(self._units))
        return found

    def _count(self, update: UpdateId) -> _Counts:
        return self._counts.setdefault(update, _Counts())

    def _note_return(self, proven: int, at: datetime, bits: Mapping[UpdateId, int]) -> None:
        for update, bit in bits.items():
            if bit & proven:
                insort(self._count(update).returned, at)
                self._changed.add(update)

    def _move(self, window: WindowId, rack: str, before: tuple[int, ...], unit: _Unit) -> None:
        after = _classes(unit)
        touched = 0
        for old, new in zip(before, after, strict=True):
            touched |= old ^ new
        for update, bit in self._bits(window).items():
            if bit & touched:
                counts = self._count(update)
                counts.good += _step(before[0], after[0], bit)
                counts.failed += _step(before[1], after[1], bit)
                counts.regressed += _step(before[2], after[2], bit)
                counts.open += _step(before[3], after[3], bit)
                counts.tried_in[rack] += _step(before[4], after[4], bit)
                counts.unmeasured += _step(before[5], after[5], bit)
                self._changed.add(update)


def _classes(unit: _Unit) -> tuple[int, ...]:
    """Masks of good, failed, regressed and open updates, which never overlap, of all that were begun, and of those that
    are open only since metrics are missing.

    What is rolled back is none of good and open: its outcome will not be known.
    """
    failed = unit.failed
    regressed = unit.regressed & ~failed
    rest = unit.begun & ~(failed | regressed | unit.undone)
    proven = unit.proven & rest
    good = 0 if unit.waits and not unit.is_measured else proven
    return good, failed, regressed, rest & ~good, unit.begun, proven & ~good


def _step(before: int, after: int, bit: int) -> int:
    return bool(after & bit) - bool(before & bit)


def _worst_rack(counts: _Counts, since: datetime | None) -> RackEvidence | None:
    racks = [
        RackEvidence(rack=rack, tried=counts.tried_in[rack], failed=sum(since is None or at > since for at in times))
        for rack, times in counts.failed_in.items()
    ]
    return max(racks, key=lambda found: (found.failed, -found.tried, found.rack), default=None)
