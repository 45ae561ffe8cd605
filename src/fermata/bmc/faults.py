"""Which faults strike one controller, decided by the seed and by how often they struck before."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from fermata.bmc.fleet import Fault, FaultKind


def draw(seed: int, *words: object) -> float:
    """A number in [0, 1) that follows from the words alone."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *words))).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def is_timed(fault: Fault) -> bool:
    """True of what happens at a time of its own, whatever is asked of the controller."""
    return fault.kind is FaultKind.LOSES_SESSIONS or (fault.kind is FaultKind.DIES and fault.percent is None)


class Faults:
    """Those of one controller, each with what is left of it."""

    def __init__(self, bmc: str, seed: int, faults: Sequence[Fault], start: datetime) -> None:
        self._bmc = bmc
        self._seed = seed
        self._mine: list[tuple[Fault, datetime]] = []
        self._struck: dict[int, int] = {}
        for place, fault in enumerate(faults):
            if draw(seed, "fault", place, bmc) < fault.share:
                self.add(fault, start)

    def add(self, fault: Fault, start: datetime) -> None:
        """`start`: what its `after_seconds` count from. Faults of others are passed over."""
        if fault.bmc in ("*", self._bmc):
            self._mine.append((fault, start + timedelta(seconds=fault.after_seconds)))

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._mine.clear()
        self._struck.clear()

    def begins(self) -> Iterator[tuple[datetime, Fault]]:
        """Those that happen at a time of their own."""
        for fault, at in self._mine:
            if is_timed(fault):
                yield at, fault

    def strike(self, kind: FaultKind, now: datetime, component: str | None = None) -> Fault | None:
        """The fault of this kind that strikes now, if one does; it is counted."""
        for place, (fault, since) in enumerate(self._mine):
            if (
                is_timed(fault)
                or fault.kind is not kind
                or (component is not None and fault.component not in ("*", component))
            ):
                continue
            if now < since or (fault.seconds is not None and kind in _LASTING and now >= _end(fault, since)):
                continue
            if fault.times is not None and self._struck.get(place, 0) >= fault.times:
                continue
            self._struck[place] = self._struck.get(place, 0) + 1
            return fault
        return None

    def stands(self, kind: FaultKind, now: datetime, component: str) -> Fault | None:
        """The fault of this kind that holds now; looking does not use it up."""
        for fault, since in self._mine:
            if fault.kind is kind and now >= since and fault.component in ("*", component):
                return fault
        return None


_LASTING = frozenset({FaultKind.BUSY, FaultKind.SLOW, FaultKind.DROPS_ANSWER, FaultKind.RESET_IGNORED})


def _end(fault: Fault, since: datetime) -> datetime:
    assert fault.seconds is not None
    return since + timedelta(seconds=fault.seconds)
