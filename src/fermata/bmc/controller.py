"""One management controller and its machine: power, boots, firmware, updates and tasks, as a function of time."""

import heapq
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from fermata.bmc import messages
from fermata.bmc.access import Access
from fermata.bmc.faults import Faults, draw, is_timed
from fermata.bmc.fleet import Activation, Component, Fault, FaultKind, Fleet, Profile
from fermata.bmc.tasks import Task, TaskState

TASKS_KEPT = 64
IMAGE = re.compile(r"(?:.*/)?(?P<name>[A-Za-z][A-Za-z0-9_.]*?)-(?P<version>v?\d[A-Za-z0-9._]*?)(?:\.[a-z]{2,6})?$")
RESETS = ("On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "PowerCycle", "ForceOn", "Nmi")
GRACEFUL = frozenset({"GracefulShutdown", "GracefulRestart"})
OFF = frozenset({"ForceOff", "GracefulShutdown"})
ON = frozenset({"On", "ForceOn"})


@dataclass(slots=True)
class Firmware:
    """What one component runs, and what was written to it and waits for a reset, with the task that wrote it."""

    spec: Component
    runs: str
    waits: str | None = None
    task: str | None = None


class Controller:
    """Every call names the time first and settles what happened until then."""

    def __init__(self, name: str, profile: Profile, fleet: Fleet, start: datetime) -> None:
        self.name = name
        self.profile = profile
        self.faults = Faults(name, fleet.seed, fleet.faults, start)
        self.access = Access(fleet.user, fleet.password, profile)
        self.firmware = {spec.id: Firmware(spec, spec.version) for spec in profile.components}
        self.tasks: dict[str, Task] = {}
        self.power = "On"
        self.boots_until = start
        self.last_reset_at = start
        self.booted_at = start
        self.down_until: datetime | None = None
        self.is_dead = False
        self.resets: list[str] = []
        self.own_resets = 0
        self.updates: list[str] = []
        self.settings: dict[str, Any] = {"ntp": ["", ""], "indicator": False}
        self._pace = 1 + profile.jitter * (2 * draw(fleet.seed, "pace", name) - 1)
        self._events: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._numbers = itertools.count(1)
        self._task_numbers = itertools.count(1)
        self._boot = 0
        for at, fault in self.faults.begins():
            self._begin_fault(at, fault)

    def settle(self, now: datetime) -> None:
        """Everything that was due until `now` has happened."""
        while self._events and self._events[0][0] <= now:
            at, _, happen = heapq.heappop(self._events)
            happen(at)

    def add_fault(self, fault: Fault, now: datetime) -> None:
        """It goes wrong from `after_seconds` after `now` on."""
        self.settle(now)
        self.faults.add(fault, now)
        if fault.bmc in ("*", self.name) and is_timed(fault):
            self._begin_fault(now + timedelta(seconds=fault.after_seconds), fault)

    @property
    def is_silent(self) -> bool:
        """Nobody answers here."""
        return self.is_dead or self.down_until is not None

    def boot_progress(self, now: datetime) -> str:
        """A word of ComputerSystem.BootProgress."""
        if self.power == "Off":
            return "None"
        return "OSRunning" if now >= self.boots_until else "SystemHardwareInitializationComplete"

    def version(self, component: str, now: datetime) -> str:
        """As FirmwareInventory tells it."""
        lie = self.faults.stands(FaultKind.REPORTS, now, component)
        return lie.version if lie else self.firmware[component].runs

    # power

    def reset(self, now: datetime, kind: str) -> None:
        """ComputerSystem.Reset. The answer is given at once, the machine takes its time."""
        self.resets.append(kind)
        if self.faults.strike(FaultKind.RESET_IGNORED, now) or kind == "Nmi":
            return
        gap = self._seconds(self.profile.shutdown_seconds if kind in GRACEFUL else 2, now)
        if kind in ON:
            if self.power == "Off":
                self._power_on(now)
            return
        self._boot += 1
        if kind in OFF:
            self._at(now + gap, partial(self._power_off, self._boot))
            return
        self.boots_until = now + timedelta(days=36500)
        self._at(now + gap, partial(self._restart, self._boot))

    def _power_off(self, boot: int, at: datetime) -> None:
        if boot == self._boot:
            self.power = "Off"
            self.last_reset_at = at

    def _restart(self, boot: int, at: datetime) -> None:
        if boot == self._boot:
            self._power_on(at)

    def _power_on(self, at: datetime) -> None:
        self._boot += 1
        self.power = "On"
        self.last_reset_at = at
        waiting = [part for part in self.firmware.values() if part.waits is not None]
        if waiting and self.faults.strike(FaultKind.LOSES_STAGED, at):
            for part in waiting:
                part.waits = None
            waiting = []
        install = sum(part.spec.install_seconds for part in waiting)
        boot = self._seconds(self.profile.boot_seconds + install, at)
        self.boots_until = at + boot
        for part in waiting:
            task = self.tasks.get(part.task or "")
            if task is not None and task.state is TaskState.PENDING:
                task.state, task.began, task.ends, task.most = TaskState.RUNNING, at, at + boot, 100
                task.messages.append(messages.update("InstallingOnComponent", task.image, part.spec.id))
        self._at(at + boot, partial(self._booted, self._boot, tuple(part.spec.id for part in waiting)))

    def _booted(self, boot: int, components: Sequence[str], at: datetime) -> None:
        if boot != self._boot:
            return
        ends_bmc = False
        for name in components:
            part = self.firmware[name]
            if part.waits is not None:
                ends_bmc |= part.spec.activates is Activation.BMC_RESET
                self._activate(part, at)
        for task in self.tasks.values():
            if task.staged and not task.is_over and not set(task.components).isdisjoint(components):
                self._complete(task, at)
        if ends_bmc:
            self._reboot_bmc(at)

    # the controller itself

    def reset_bmc(self, now: datetime) -> None:
        """Manager.Reset."""
        self.own_resets += 1
        self._reboot_bmc(now + timedelta(seconds=1))

    def _reboot_bmc(self, at: datetime) -> None:
        back = at + self._seconds(self.profile.bmc_boot_seconds, at)
        self.down_until = back
        self._at(back, self._bmc_is_back)

    def _bmc_is_back(self, at: datetime) -> None:
        self.down_until = None
        self.booted_at = at
        self.access.forget_sessions()
        for part in self.firmware.values():
            if part.spec.activates is Activation.BMC_RESET and part.waits is not None:
                self._activate(part, at)
        for task in list(self.tasks.values()):
            if not task.staged and not task.is_over:
                parts = [self.firmware[name].spec for name in task.components]
                if all(part.activates is Activation.BMC_RESET for part in parts) and task.ends <= at:
                    self._complete(task, at)
                else:
                    self._fail(task, at)
        if not self.profile.tasks_survive_reboot:
            self.tasks.clear()

    def _begin_fault(self, at: datetime, fault: Fault) -> None:
        if fault.kind is FaultKind.LOSES_SESSIONS:
            self._at(at, lambda _: self.access.forget_sessions())
        else:
            self._at(at, partial(self._die, fault.seconds))

    def _die(self, seconds: float | None, at: datetime) -> None:
        self.is_dead = True
        if seconds is not None:
            self._at(at + timedelta(seconds=seconds), self._revive)

    def _revive(self, at: datetime) -> None:
        self.is_dead = False
        self._bmc_is_back(at)

    # updates

    def update(
        self, now: datetime, image: str, targets: Sequence[str], *, staged: bool, payload: dict[str, Any]
    ) -> Task:
        """Starts writing `image` to the `targets`, ids of components; none: all that it fits. Raises Complaint."""
        if sum(not task.is_over for task in self.tasks.values()) >= self.profile.updates_at_once:
            retry = self.profile.retry_after_seconds
            raise messages.Complaint("ServiceTemporarilyUnavailable", str(retry), retry_after_seconds=retry)
        named = IMAGE.match(image)
        fits = [part for part in self.firmware.values() if named and _fits(part.spec, named["name"])]
        parts = [self.firmware[name] for name in targets] if targets else fits
        longest = max((part.spec.write_seconds for part in parts), default=5.0)
        ends = now + self._seconds(longest, now)
        task = Task(
            id=str(next(self._task_numbers)),
            image=image.rsplit("/", 1)[-1],
            version=named["version"] if named else "",
            components=tuple(part.spec.id for part in parts),
            staged=staged,
            payload=payload,
            started_at=now,
            began=now,
            ends=ends,
            most=50 if staged else 100,
        )
        self._keep(task)
        self.updates.append(task.image)
        for part in parts:
            task.messages.append(messages.update("TransferringToComponent", task.image, part.spec.id))
        bad = [part for part in parts if part not in fits or not part.spec.updateable]
        if bad or not parts:
            self._at(now + timedelta(seconds=5), partial(self._reject, task))
        else:
            self._plan(task, now)
        return task

    def _plan(self, task: Task, now: datetime) -> None:
        """When it ends, and how."""
        component = task.components[0]
        span = task.ends - now
        if (death := self.faults.strike(FaultKind.DIES, now, component)) is not None:
            self._at(now + span * (death.percent or 0) / 100, partial(self._die, death.seconds))
        if (hang := self.faults.strike(FaultKind.UPDATE_HANGS, now, component)) is not None:
            task.stuck_at = hang.percent if hang.percent is not None else 50
        elif (failure := self.faults.strike(FaultKind.UPDATE_FAILS, now, component)) is not None:
            percent = failure.percent if failure.percent is not None else 50
            task.stuck_at = percent
            self._at(now + span * percent / 100, partial(self._fail_task, task))
        else:
            self._at(task.ends, partial(self._written, task))

    def _reject(self, task: Task, at: datetime) -> None:
        if not task.is_over:
            names = ", ".join(task.components) or "any component"
            task.messages.append(messages.update("VerificationFailed", task.image, names))
            task.state, task.ended_at = TaskState.EXCEPTION, at

    def _fail_task(self, task: Task, at: datetime) -> None:
        if not task.is_over:
            self._fail(task, at)

    def _fail(self, task: Task, at: datetime) -> None:
        for name in task.components:
            task.messages.append(messages.update("ApplyFailed", task.image, name))
        task.state, task.ended_at = TaskState.EXCEPTION, at

    def _written(self, task: Task, at: datetime) -> None:
        if task.is_over:
            return
        if self.is_dead:
            self._fail(task, at)
            return
        for name in task.components:
            self.firmware[name].waits, self.firmware[name].task = task.version, task.id
        if task.staged:
            task.messages += [messages.update("AwaitToUpdate", task.image, name) for name in task.components]
            task.state = TaskState.PENDING
        else:
            self._apply(task, at)

    def _apply(self, task: Task, at: datetime) -> None:
        needs_bmc = False
        for name in task.components:
            part = self.firmware[name]
            if part.spec.activates is Activation.AT_ONCE:
                self._activate(part, at)
            elif part.spec.activates is Activation.HOST_RESET:
                task.messages.append(messages.update("AwaitToActivate", task.image, name))
            else:
                needs_bmc = True
        if needs_bmc:
            self._reboot_bmc(at)
        else:
            self._complete(task, at)

    def _activate(self, part: Firmware, at: datetime) -> None:
        if part.waits is not None and not self.faults.strike(FaultKind.KEEPS_OLD, at, part.spec.id):
            part.runs = part.waits
        part.waits = None

    def _complete(self, task: Task, at: datetime) -> None:
        for name in task.components:
            task.messages.append(messages.update("UpdateSuccessful", task.image, name))
        task.state, task.ended_at = TaskState.COMPLETED, at

    def _keep(self, task: Task) -> None:
        self.tasks[task.id] = task
        over = [name for name, known in self.tasks.items() if known.is_over]
        for name in over[: max(0, len(self.tasks) - TASKS_KEPT)]:
            del self.tasks[name]

    def _at(self, at: datetime, happen: Callable[[datetime], None]) -> None:
        heapq.heappush(self._events, (at, next(self._numbers), happen))

    def _seconds(self, seconds: float, now: datetime) -> timedelta:
        slow = self.faults.strike(FaultKind.SLOW, now)
        return timedelta(seconds=seconds * self._pace * (slow.factor if slow else 1.0))


def _fits(spec: Component, name: str) -> bool:
    return name.casefold() == (spec.image or spec.id).casefold()
