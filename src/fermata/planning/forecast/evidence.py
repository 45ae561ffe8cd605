"""What was seen of steps so far: how long each took, how often one failed or hung, how long repairs lasted."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from fermata.domain.ids import ClusterId
from fermata.domain.scripts import APPLY_PREFIX, DRAIN, REBOOT_PREFIX, RESET_PREFIX, VERIFY
from fermata.planning.forecast.normal import Floats

MINUTE = timedelta(minutes=1)
REBOOT = "reboot"
IDLE_DRAIN_MINUTES = 1  # a node on which nothing ran is empty at once, and tells nothing of how long jobs take
HUNG = "no answer"  # how the journal's word on a step that hung begins
EVENTS = ("step.ended", "step.failed", "unit.proven", "unit.failed", "unit.resumed")

Kind = str  # an update's id, or drain, reboot, verify: what takes about as long on every unit


def kind_of(step: str) -> Kind | None:
    """The kind of a step by its name in the journal; None: it takes no time worth learning. A reset is a reboot."""
    if step.startswith((REBOOT_PREFIX, RESET_PREFIX)):
        return REBOOT
    if step.startswith(APPLY_PREFIX):
        return step.removeprefix(APPLY_PREFIX)
    return step if step in (DRAIN, VERIFY) else None


@dataclass(slots=True, kw_only=True)
class Tries:
    """How often a kind of step was tried, and failed (or turned out void), or hung."""

    tried: int = 0
    failed: int = 0
    hung: int = 0


@dataclass(kw_only=True)
class Evidence:
    """Everything of the past, in whole minutes. `minutes`: of ended steps, counted, by kind and cluster.

    `rebooted`: which units came back from a reboot, in which window; `fell_out`: how many did not.
    `repaired`: repairs that ended, `repair_minutes`: what they took together; `in_repair`: since when each unit is.
    """

    minutes: dict[Kind, dict[ClusterId, Counter[int]]] = field(default_factory=lambda: defaultdict(dict))
    tries: dict[Kind, Tries] = field(default_factory=lambda: defaultdict(Tries))
    rebooted: set[tuple[str, str]] = field(default_factory=set)
    fell_out: int = 0
    repaired: int = 0
    repair_minutes: float = 0.0
    in_repair: dict[str, datetime] = field(default_factory=dict)
    _logs: dict[tuple[Kind, ClusterId], tuple[int, Floats, Floats]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def steps(self) -> int:
        """How many steps ended, well or not."""
        return sum(tries.tried for tries in self.tries.values())

    def logs(self, kind: Kind, cluster: ClusterId) -> tuple[Floats, Floats]:
        """The logarithms of the minutes of ended steps, ascending, and how often each was seen. What did not grow since
        the last time is not counted again.
        """
        counts = self.minutes[kind][cluster]
        steps = counts.total()
        known = self._logs.get((kind, cluster))
        if known is None or known[0] != steps:
            ended = sorted(counts.items())
            logs = np.array([math.log(minutes) for minutes, _ in ended], dtype=float)
            known = (steps, logs, np.array([times for _, times in ended], dtype=float))
            self._logs[kind, cluster] = known
        return known[1], known[2]

    def note(self, event: str, unit: str, cluster: ClusterId, at: datetime, why: str, data: Mapping[str, Any]) -> None:
        """Takes in one line of the journal about a unit, of one of EVENTS; its step, and minutes, are in `data`."""
        step = str(data.get("step") or "")
        match event:
            case "unit.resumed":
                since = self.in_repair.pop(unit, None)
                if since is not None:
                    self.repaired += 1
                    self.repair_minutes += (at - since) / MINUTE
            case "unit.failed":
                self.in_repair.setdefault(unit, at)
                self.fell_out += step.startswith(REBOOT_PREFIX)
            case "step.failed":
                self._note_failed(step, why)
            case _:
                self.in_repair.pop(unit, None)  # it works, so that it was given up in a run that is over
                if step.startswith(REBOOT_PREFIX):
                    self.rebooted.add((str(data.get("window")), unit))
                self._note_ended(step, data.get("minutes"), cluster)

    def _note_failed(self, step: str, why: str) -> None:
        kind = kind_of(step)
        if kind is not None:
            self.tries[kind].tried += 1
            if why.startswith(HUNG):
                self.tries[kind].hung += 1
            else:
                self.tries[kind].failed += 1

    def _note_ended(self, step: str, minutes: int | None, cluster: ClusterId) -> None:
        kind = kind_of(step)
        if kind is None or minutes is None or (kind == DRAIN and minutes <= IDLE_DRAIN_MINUTES):
            return
        self.tries[kind].tried += 1
        self.minutes[kind].setdefault(cluster, Counter())[max(1, minutes)] += 1
