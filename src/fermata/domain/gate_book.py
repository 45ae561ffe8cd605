"""Counts what is known of every update of a run, unit by unit as rows change: a copy of rows, rebuilt at any time."""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from fermata.domain.gate_evidence import Evidence, RackEvidence, begun_mask, proven_mask
from fermata.domain.ids import UpdateId, WindowId
from fermata.domain.node_states import BACK
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


@dataclass(slots=True, kw_only=True)
class _Counts:
    good: int = 0
    failed: int = 0
    regressed: int = 0
    open: int = 0
    returned: list[datetime] = field(default_factory=list)
    tried_in: Counter[str] = field(default_factory=Counter)
    failed_in: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))


class GateBook:
    """Evidence per update. `bits`: as the windows' scripts number updates; `rack_of`: where a unit stands."""

    def __init__(self, bits: Bits, rack_of: Callable[[str], str]) -> None:
        self._bits = bits
        self._rack_of = rack_of
        self._units: dict[tuple[WindowId, str], _Unit] = {}
        self._counts: dict[UpdateId, _Counts] = {}
        self._changed: set[UpdateId] = set()

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
            if (unit.begun | begun, proven, op.undo) != (unit.begun, unit.proven, unit.undone):
                before = _classes(unit)
                unit.begun |= begun
                unit.proven = proven
                unit.undone = op.undo
                self._move(op.window, self._rack_of(op.unit), before, unit)
            if op.state in BACK and op.finished_at is not None and unit.back_at is None:
                unit.back_at = op.finished_at
                self._note_return(proven, op.finished_at, bits)

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
        )

    def baking(self, bake: timedelta, now: datetime) -> tuple[Returned, ...]:
        """Nodes that were given back within `bake` and have not failed."""
        found: list[Returned] = []
        for (window, name), unit in self._units.items():
            if unit.back_at is not None and unit.back_at > now - bake and not (unit.failed | unit.regressed):
                updates = tuple(update for update, bit in self._bits(window).items() if bit & unit.proven)
                if updates:
                    found.append(Returned(window=window, unit=name, updates=updates, at=unit.back_at))
        return tuple(found)

    def _unit(self, window: WindowId, unit: str) -> _Unit:
        return self._units.setdefault((window, unit), _Unit())

    def _count(self, update: UpdateId) -> _Counts:
        return self._counts.setdefault(update, _Counts())

    def _note_return(self, proven: int, at: datetime, bits: Mapping[UpdateId, int]) -> None:
        for update, bit in bits.items():
            if bit & proven:
                insort(self._count(update).returned, at)
                self._changed.add(update)

    def _move(self, window: WindowId, rack: str, before: tuple[int, int, int, int, int], unit: _Unit) -> None:
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
                self._changed.add(update)


def _classes(unit: _Unit) -> tuple[int, int, int, int, int]:
    """Masks of good, failed, regressed and open updates, which never overlap, and of all that were begun.

    What is rolled back is none of good and open: its outcome will not be known.
    """
    failed = unit.failed
    regressed = unit.regressed & ~failed
    rest = unit.begun & ~(failed | regressed | unit.undone)
    good = unit.proven & rest
    return good, failed, regressed, rest & ~good, unit.begun


def _step(before: int, after: int, bit: int) -> int:
    return bool(after & bit) - bool(before & bit)


def _worst_rack(counts: _Counts, since: datetime | None) -> RackEvidence | None:
    racks = [
        RackEvidence(rack=rack, tried=counts.tried_in[rack], failed=sum(since is None or at > since for at in times))
        for rack, times in counts.failed_in.items()
    ]
    return max(racks, key=lambda found: (found.failed, -found.tried, found.rack), default=None)
