"""The simulated nodes and devices: what they run, what goes on on them, and what they never allow."""

from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.ids import UpdateId

CHANGES = frozenset({"apply", "reboot", "reset"})


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
    """A node or a device. `staged` becomes `versions` with the next reboot; `targets` is what was last asked for.

    `changed_at`: when it was last written, rebooted, reset or repaired; `healthy_at`: when it last passed its check.
    """

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
    changed_at: datetime | None = None
    healthy_at: datetime | None = None

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
        if step.op in CHANGES:
            self.changed_at = step.ends_at
        if step.failed:
            return
        match step.op:
            case "drain":
                self.drained = True
            case "check":
                self.healthy_at = step.ends_at
            case "apply" if step.effective:
                (self.staged if step.with_reboot else self.versions)[step.component] = step.version
            case "reboot":
                self.versions.update(self.staged)
                self.staged.clear()
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
        self.repaired_at = self.changed_at = at
        self.repair_at = None

    def scale_in(self, now: datetime, *, keeps_lock: bool) -> None:
        """Somebody else puts workloads on it; a drain that goes on comes to nothing."""
        if self.current is not None and self.current.op == "drain":
            self.current.failed, self.current.ends_at = "somebody put it back into service", now
            self.settle(now)
        self.in_service, self.drained = True, False
        self.locked = self.locked and keeps_lock

    def lack_of_proof(self) -> str:
        """Why it may not go back, as it really is; "" when it may."""
        lacking = {c: v for c, v in self.targets.items() if self.versions.get(c) != v}
        if lacking or self.staged:
            return f"does not run {lacking or self.staged}"
        if not self.locked or not self.drained:
            return "is not locked and drained"
        if self.healthy_at is None:
            return "passed no health check"
        if self.changed_at is not None and self.healthy_at < self.changed_at:
            return "passed no health check since its last change"
        return ""
