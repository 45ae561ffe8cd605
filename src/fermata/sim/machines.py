"""The simulated nodes and devices: what they run, what goes on on them, and what they never allow."""

from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.ids import UpdateId


class WorldBroken(AssertionError):
    """Something was asked that must never be asked of a real fleet: the conductor is wrong."""


@dataclass(slots=True, kw_only=True)
class Step:
    """One command as carried out. `ends_at` None: hangs. `effective` False: claims success and changes nothing."""

    op: str
    key: str
    unit: str
    at: datetime
    ends_at: datetime | None
    failed: str = ""
    effective: bool = True
    update: UpdateId | None = None
    component: str = ""
    version: str = ""
    with_reboot: bool = False
    settled: bool = False


@dataclass(slots=True, kw_only=True)
class Machine:
    """A node or a device. `staged` becomes `versions` with the next reboot; `targets` is what was last asked for."""

    name: str
    versions: dict[str, str]
    in_service: bool
    staged: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    locked: bool = False
    drained: bool = False
    reboots: int = 0
    current: Step | None = None
    gone_since: datetime | None = None
    repair_at: datetime | None = None
    repaired_at: datetime | None = None

    def settle(self, now: datetime) -> None:
        """Lets everything happen that has happened by `now`."""
        step = self.current
        if step is not None and step.ends_at is not None and step.ends_at <= now:
            self._take_effect(step)
        if self.repair_at is not None and self.repair_at <= now:
            self._repaired(self.repair_at)

    def _take_effect(self, step: Step) -> None:
        step.settled = True
        self.current = None
        if step.failed:
            return
        match step.op:
            case "drain":
                self.drained = True
            case "apply" if step.effective:
                (self.staged if step.with_reboot else self.versions)[step.component] = step.version
            case "reboot":
                self.versions.update(self.staged)
                self.staged.clear()
            case "reset" if self.gone_since is not None:
                self.versions.update(self.staged)
                self.staged.clear()
                self.gone_since = self.repair_at = None
            case _:
                pass

    def _repaired(self, at: datetime) -> None:
        """A repaired machine was restarted: what hung on it is over, what was staged runs."""
        if self.current is not None:
            self.current.ends_at = at
            self.current.settled = True
            self.current = None
        self.versions.update(self.staged)
        self.staged.clear()
        self.gone_since = None
        self.repaired_at = at
        self.repair_at = None
