"""The simulated nodes and devices: what they run, what goes on on them, and what they never allow."""

from dataclasses import dataclass, field
from datetime import datetime

from fermata.domain.ids import UpdateId

FLAP_SECONDS = 7 * 60  # neither a multiple of a poll nor a part of one
CHANGES = frozenset({"apply", "reboot", "reset"})
WORK = CHANGES | {"check"}


class WorldBroken(AssertionError):
    """Something was asked that must never be asked of a real fleet: the conductor is wrong. `rule` names the invariant
    (docs/simulator.md) that it breaks.
    """

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(what)
        self.rule = rule


@dataclass(slots=True, kw_only=True)
class Step:
    """One command as carried out. `ends_at` None: hangs. `effective` False: claims success and changes nothing.
    `done_anyway`: says that it failed, and did not.
    """

    op: str
    key: str
    unit: str
    at: datetime
    ends_at: datetime | None
    failed: str = ""
    effective: bool = True
    done_anyway: bool = False
    update: UpdateId | None = None
    component: str = ""
    version: str = ""
    with_reboot: bool = False
    settled: bool = False


@dataclass(slots=True, kw_only=True)
class Machine:
    """A node or a device. `staged` becomes `versions` with the next reboot; `targets` is what was last asked for;
    `before` is what it ran before its last change.

    `changed_at`: when it was last written, rebooted, reset or repaired; `healthy_at`: when it last passed its check.
    `touched`: written, rebooted, reset, checked or repaired since it was locked; `emptied`: drained since then.
    """

    name: str
    versions: dict[str, str]
    in_service: bool
    staged: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    locked: bool = False
    drained: bool = False
    before: dict[str, str] = field(default_factory=dict)
    flaps_until: datetime | None = None
    reboots: int = 0
    current: Step | None = None
    gone_since: datetime | None = None
    repair_at: datetime | None = None
    repaired_at: datetime | None = None
    changed_at: datetime | None = None
    healthy_at: datetime | None = None
    touched: bool = False
    emptied: bool = False

    def is_reachable(self, now: datetime) -> bool:
        """False while it is gone, and every other FLAP of the time in which it comes and goes."""
        if self.gone_since is not None:
            return False
        flapping = self.flaps_until is not None and now < self.flaps_until
        return not flapping or int(now.timestamp() / FLAP_SECONDS) % 2 == 0

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
            self.before = dict(self.versions)
        if step.failed and not step.done_anyway:
            return
        match step.op:
            case "drain":
                self.drained = self.emptied = True
            case "check":
                self.healthy_at = step.ends_at
            case "apply" if step.effective:
                (self.staged if step.with_reboot else self.versions)[step.component] = step.version
            case "reboot" | "reset":
                self.versions.update(self.staged)
                self.staged.clear()
                if step.op == "reset" and self.gone_since is not None:
                    self.gone_since = self.repair_at = None
            case _:
                pass

    def _repaired(self, at: datetime) -> None:
        """A repaired machine was restarted: what hung on it is over, what was staged runs."""
        if self.current is not None:
            self.current.ends_at = at
            self.current.failed = self.current.failed or "the machine was restarted meanwhile"
            self.current.settled = True
            self.current = None
        self.before = dict(self.versions)
        self.versions.update(self.staged)
        self.staged.clear()
        self.gone_since = None
        self.changed_at = at
        self.touched = True
        self.flaps_until = None
        self.repaired_at = at
        self.repair_at = None

    def scale_in(self, now: datetime, *, keeps_lock: bool) -> None:
        """Somebody else puts workloads on it; a drain that goes on comes to nothing."""
        if self.current is not None and self.current.op == "drain":
            self.current.failed, self.current.ends_at = "somebody put it back into service", now
            self.settle(now)
        self.in_service, self.drained = True, False
        self.locked = self.locked and keeps_lock

    def lack_of_proof(self) -> str:
        """Why it may not go back, as it really is; "" when it may: also when nothing was begun on it since its lock."""
        if not self.touched and self.locked and not (self.in_service and self.emptied):
            return ""
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
