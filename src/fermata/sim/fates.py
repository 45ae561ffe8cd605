"""Dice without memory: what happens to a step depends on the seed and the step alone, not on the order of calls."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import NormalDist

from fermata.domain.updates import Duration

_NORMAL = NormalDist()
_ALMOST = 1e-9
HOURS_OUT = 3.0  # of a management controller or a network: longer than a window has to spare


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often things go wrong, as shares of steps; `fallout` of nodes at their first reboot.

    fails: ends early and says so. hangs: never ends. false_done: claims success and changes nothing. slow_drain: takes
    `slow_factor` times as long. unhealthy: fails its health check. lost: the answer to a call, and half the time the
    call itself, gets lost. busy: the target says no for now, once. bad_updates: by update, the share of units that
    never take it.
    unplaceable: a node with which its placement group refuses a whole scale-in, unless it comes alone.
    revives: share of power cycles that bring back a node which did not come back from a reboot.

    What follows does not happen unless it is asked for. half_done: claims success and leaves neither version.
    done_anyway: says that it failed, though it was written. device_dies: a device is gone from the moment it is written
    until its repair. flaps: a node comes and goes for hours after a reboot. no_bmc: of days on which a unit takes no
    power command for hours. cut_off: of days on which a cluster cannot be reached for hours. no_answer: of whole calls,
    that end without one; a third of those was carried out. stale, missing: of units looked at, seen as they were before
    their last change, or not at all. breaks: of nodes that `bad_update` makes sick, some hours after it runs or with
    the next reboot.
    """

    fails: float = 0.012
    hangs: float = 0.003
    false_done: float = 0.005
    slow_drain: float = 0.02
    slow_factor: float = 6.0
    unhealthy: float = 0.004
    device_fails: float = 0.01
    lost: float = 0.001
    busy: float = 0.002
    fallout: float = 0.015
    unplaceable: float = 0.01
    revives: float = 0.3
    mean_days_to_repair: float = 2.0
    bad_updates: Mapping[str, float] = field(default_factory=dict, hash=False)
    half_done: float = 0.0
    done_anyway: float = 0.0
    device_dies: float = 0.0
    flaps: float = 0.0
    no_bmc: float = 0.0
    cut_off: float = 0.0
    no_answer: float = 0.0
    stale: float = 0.0
    missing: float = 0.0
    breaks: float = 0.0
    bad_update: str = ""


NO_FAULTS = Faults(
    fails=0,
    hangs=0,
    false_done=0,
    slow_drain=0,
    unhealthy=0,
    device_fails=0,
    lost=0,
    busy=0,
    fallout=0,
    unplaceable=0,
    revives=0,
)


class Dice:
    """Numbers drawn from (seed, what, purpose)."""

    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()
        self._out: dict[tuple[str, float], float | None] = {}  # what was drawn of each day, until it is another
        self._day = 0

    def draw(self, what: str, purpose: str) -> float:
        """Uniform in (0, 1); the same for the same arguments."""
        digest = hashlib.blake2b(f"{purpose}\x1f{what}".encode(), digest_size=7, key=self._key).digest()
        return min(max(int.from_bytes(digest, "big") / (1 << 56), _ALMOST), 1 - _ALMOST)

    def minutes(self, duration: Duration, what: str) -> timedelta:
        """Lognormal, whole minutes, at least one: instants on the minute keep ticks few."""
        z = _NORMAL.inv_cdf(self.draw(what, "minutes"))
        return timedelta(minutes=max(1, round(duration.quantile(z))))

    def is_out(self, what: str, share: float, now: datetime) -> bool:
        """True for some hours of that share of days."""
        if share <= 0:
            return False
        begins = self._out_from(what, share, now)
        return begins is not None and begins <= now.hour + now.minute / 60 < begins + HOURS_OUT

    def _out_from(self, what: str, share: float, now: datetime) -> float | None:
        """From which hour of the day on, or None: not on that day."""
        number = now.toordinal()
        if number != self._day:
            self._out.clear()
            self._day = number
        key = (what, share)
        if key not in self._out:
            day = f"{what} {now:%Y-%m-%d}"
            is_out = self.draw(day, "out") < share
            self._out[key] = self.draw(day, "out from") * (24 - HOURS_OUT) if is_out else None
        return self._out[key]

    def repair(self, mean_days: float, what: str) -> timedelta:
        """Exponential, whole minutes."""
        days = -mean_days * math.log(1 - self.draw(what, "repair"))
        return timedelta(minutes=max(1, round(days * 24 * 60)))
