"""Installs: one at a time for each step key, known by its job while the old image runs, and by what runs after that."""

from dataclasses import dataclass, replace
from datetime import timedelta

from fermata.adapters.controller_http import Busy, Lost, Rejected, Unreachable
from fermata.adapters.nvue.link import Images, Link
from fermata.adapters.step_memory import Memory, Step
from fermata.domain.ids import DeviceId, StepKey
from fermata.domain.observations import (
    Accepted,
    Answer,
    Denied,
    DeviceSeen,
    Failed,
    Later,
    NeverAsked,
    Progress,
    Running,
    Succeeded,
    Unsure,
)
from fermata.ports import ApplyAsk, Clock

POLL = timedelta(minutes=1)
AWAY = timedelta(minutes=2)  # a switch restarts for some minutes
SHOWS_AFTER = timedelta(minutes=5)  # an install whose answer was lost is seen by then as the image that boots next


@dataclass(frozen=True, slots=True, kw_only=True)
class Installs:
    """The ports' calls, item by item."""

    link: Link
    memory: Memory
    clock: Clock

    async def apply(self, ask: ApplyAsk) -> Answer:
        """Starts an install that restarts the switch, unless that goes on, is written already, or runs."""
        address = self.link.settings.devices.get(ask.unit)
        if address is None:
            return Denied(why=f"{ask.unit} is no switch in the settings of NVUE")
        step = self.memory.find(ask.key)
        if step is not None and step.is_done:
            return Accepted(check_again_at=None if step.ended_at else self.clock.now() + POLL)
        try:
            images = await self.link.images(address)
            if step is not None and (told := self._judge_doubt(step, images)) is not None:
                return told
            return await self._begin(ask, address, images)
        except (Unreachable, Lost):
            return Later(after=AWAY) if step is None else Unsure()
        except Busy as busy:
            return Later(after=busy.after)
        except Rejected as rejected:
            return Denied(why=str(rejected))

    def _judge_doubt(self, step: Step, images: Images) -> Answer | None:
        """Of an install whose answer was lost; None: it did not happen, so that it is asked for again."""
        if self._wanted(step.version, images.next) or self._wanted(step.version, images.running):
            self.memory.done(step.key, None)
            return Accepted(check_again_at=self.clock.now() + POLL)
        left = step.asked_at + SHOWS_AFTER - self.clock.now()
        return Later(after=left) if left > timedelta(0) else None

    async def _begin(self, ask: ApplyAsk, address: str, images: Images) -> Answer:
        now = self.clock.now()
        file = self.link.settings.file_of(ask.update, ask.component, ask.to_version)
        self.memory.begin(
            Step(
                key=ask.key,
                unit=ask.unit,
                op="apply",
                component=ask.component,
                version=ask.to_version,
                image=file,
                asked_at=now,
            )
        )
        if self._wanted(ask.to_version, images.running):
            self.memory.end(ask.key, now)
            return Accepted(check_again_at=now)
        try:
            is_written = self._wanted(ask.to_version, images.next)
            job = await (self.link.reboot(address) if is_written else self.link.install(address, file))
        except Lost:
            return Unsure()
        except (Unreachable, Busy, Rejected):
            self.memory.forget(ask.key)  # nothing was done
            raise
        self.memory.done(ask.key, job)
        return Accepted(check_again_at=self.clock.now() + POLL)

    async def observe(self, key: StepKey) -> Progress:
        """How far it is; Running where the switch does not answer. Success is what runs, never what the job says."""
        step = self.memory.find(key)
        if step is None:
            return NeverAsked()
        if step.ended_at is not None:
            return _ended(step)
        address = self.link.settings.devices.get(step.unit)
        if address is None:
            return Failed(at=self.clock.now(), why=f"{step.unit} left the settings of NVUE")
        try:
            return await self._look(step, address)
        except (Unreachable, Lost):
            return Running(check_again_at=self.clock.now() + AWAY)
        except Busy as busy:
            return Running(check_again_at=self.clock.now() + busy.after)
        except Rejected as rejected:
            return self._end(step, str(rejected))

    async def _look(self, step: Step, address: str) -> Progress:
        images = await self.link.images(address)
        now = self.clock.now()
        if self._wanted(step.version, images.running):
            return self._end(step)
        if not step.is_done:
            if now < step.asked_at + SHOWS_AFTER:
                return Running(check_again_at=step.asked_at + SHOWS_AFTER)
            if not self._wanted(step.version, images.next):
                self.memory.forget(step.key)
                return NeverAsked()
        if step.task is not None and (told := await self._ask_job(step, step.task, address)) is not None:
            return told
        until = step.asked_at + timedelta(minutes=self.link.settings.restart_minutes)
        if now < until:
            return Running(check_again_at=min(until, now + POLL))
        return self._end(step, f"its install is over, and it runs {self._version(images.running)}")

    async def _ask_job(self, step: Step, task: str, address: str) -> Progress | None:
        """None: it is over, or the switch restarted and forgot it; what runs is what counts then."""
        try:
            job = await self.link.job(address, task)
        except Rejected as rejected:
            if rejected.status != 404:
                raise
            return None
        if job.has_failed:
            return self._end(step, f"the install ended as {job.state}: {job.says or 'it does not say why'}")
        if job.state in ("action_success", "action_error"):
            return None
        return Running(check_again_at=self.clock.now() + POLL)

    async def see(self, name: DeviceId) -> DeviceSeen | None:
        """What runs. None: the switch does not answer or is not ours, and nothing is decided about it."""
        address = self.link.settings.devices.get(name)
        if address is None:
            return None
        now = self.clock.now()
        try:
            running = (await self.link.images(address)).running
        except (Unreachable, Lost, Busy, Rejected):
            return None
        if not running:
            return None
        return DeviceSeen(
            device=name, reachable=True, version=self._version(running), repaired_at=None, observed_at=now
        )

    async def probe(self) -> dict[str, str]:
        """Who the first switch is. Raises as Link.images."""
        devices = self.link.settings.devices
        first = next(iter(devices.values()), None)
        if first is None:
            return {"product": "NVUE", "version": "none", "switches": "0"}
        said = await self.link.kernel(first)
        version = str(said.get("image") or said.get("product-release") or "unknown")
        return {"product": "NVUE", "version": version, "address": first, "switches": str(len(devices))}

    def _version(self, build_id: str) -> str:
        return self.link.settings.version_of(build_id)

    def _wanted(self, version: str, build_id: str) -> bool:
        return self._version(build_id) == version

    def _end(self, step: Step, failed: str | None = None) -> Progress:
        now = self.clock.now()
        self.memory.end(step.key, now, failed)
        return _ended(replace(step, ended_at=now, failed=failed))


def _ended(step: Step) -> Progress:
    assert step.ended_at is not None
    return Succeeded(at=step.ended_at) if step.failed is None else Failed(at=step.ended_at, why=step.failed)
