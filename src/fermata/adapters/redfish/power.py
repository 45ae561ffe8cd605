"""Power: resets that are known by what the controller says of the last one."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fermata.adapters.controller_http import Busy, Lost, Rejected, Unreachable
from fermata.adapters.redfish.firmware import AWAY
from fermata.adapters.redfish.link import Link
from fermata.adapters.redfish.reading import Machine, read_machine
from fermata.adapters.redfish.settings import Model
from fermata.adapters.step_memory import Memory, Step
from fermata.domain.ids import StepKey
from fermata.domain.observations import (
    Accepted,
    Answer,
    Denied,
    Failed,
    Later,
    NeverAsked,
    Progress,
    Running,
    Succeeded,
    Unsure,
)
from fermata.ports import Ask, Clock

POLL = timedelta(minutes=1)
SHOWS_AFTER = timedelta(minutes=5)  # by then an orderly shutdown has begun the boot, and LastResetTime tells of it
DOWN_WITHIN = timedelta(minutes=15)
NO_ANSWER = "its management controller does not answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resets:
    """The port's calls, item by item."""

    link: Link
    memory: Memory
    clock: Clock

    async def reset(self, ask: Ask, *, is_hard: bool) -> Answer:
        """Asks for it, unless it was asked for already."""
        unit = self.link.settings.find(ask.unit)
        if unit is None:
            return Denied(why=f"{ask.unit} has no controller in the settings of Redfish")
        model = self.link.settings.model_of(unit)
        controller = self.link.controller(unit.address)
        step = self.memory.find(ask.key)
        if step is not None and step.is_done:
            return Accepted(check_again_at=None if step.ended_at else self.clock.now() + POLL)
        try:
            machine = await read_machine(self.link, controller, unit, model.resets)
            if step is not None and (told := self._judge_doubt(step, machine)) is not None:
                return told
            kind = _choose(machine, model, is_hard=is_hard)
            if machine.reset is None or kind is None:
                return Denied(why=f"{unit.address} has no reset of a kind that we know")
            return await self._post(ask, unit.address, machine, kind)
        except (Unreachable, Lost):
            return Denied(why=NO_ANSWER) if step is None else Unsure()
        except Busy as busy:
            return Later(after=busy.after)
        except Rejected as rejected:
            return Denied(why=str(rejected))

    async def _post(self, ask: Ask, address: str, machine: Machine, kind: str) -> Answer:
        assert machine.reset is not None
        now = self.clock.now()
        self.memory.begin(
            Step(
                key=ask.key,
                unit=ask.unit,
                op="reset",
                component="",
                version="",
                image="",
                asked_at=now,
                before=machine.reset_at,
            )
        )
        try:
            await self.link.ask(self.link.controller(address), "POST", machine.reset, {"ResetType": kind})
        except Lost:
            return Unsure()
        except (Unreachable, Busy, Rejected):
            self.memory.forget(ask.key)  # nothing was done
            raise
        self.memory.done(ask.key, None)
        return Accepted(check_again_at=self.clock.now() + POLL)

    def _judge_doubt(self, step: Step, machine: Machine) -> Answer | None:
        """Of a reset whose answer was lost; None: it did not happen, so that it has to be asked for again."""
        if _happened(step, machine) is not False:
            self.memory.done(step.key, None)
            return Accepted(check_again_at=self.clock.now() + POLL)
        left = step.asked_at + _shows_after(machine) - self.clock.now()
        return Later(after=left) if left > timedelta(0) else None

    async def observe(self, key: StepKey) -> Progress:
        """How far it is; Running where the controller does not answer."""
        step = self.memory.find(key)
        if step is None:
            return NeverAsked()
        if step.ended_at is not None:
            return _ended(step)
        unit = self.link.settings.find(step.unit)
        if unit is None:
            return Failed(at=self.clock.now(), why=f"{step.unit} left the settings of Redfish")
        model = self.link.settings.model_of(unit)
        try:
            controller = self.link.controller(unit.address)
            machine = await read_machine(self.link, controller, unit, model.resets)
        except (Unreachable, Lost):
            return Running(check_again_at=self.clock.now() + AWAY)
        except Busy as busy:
            return Running(check_again_at=self.clock.now() + busy.after)
        except Rejected as rejected:
            return self._end(step, str(rejected))
        return self._judge(step, machine, model)

    def _judge(self, step: Step, machine: Machine, model: Model) -> Progress:
        now = self.clock.now()
        happened = _happened(step, machine)
        if happened is False:
            if now < (until := step.asked_at + _shows_after(machine)):
                return Running(check_again_at=min(until, now + POLL))
            if not step.is_done:
                self.memory.forget(step.key)
                return NeverAsked()
            return self._end(
                step, f"its controller took the reset, and it did not happen within {_shows_after(machine)}"
            )
        if not step.is_done:
            self.memory.done(step.key, None)
        boot_ends = step.asked_at + timedelta(minutes=model.boot_minutes)
        if happened is None or machine.is_up is None:  # the controller tells no more: its time has to pass
            is_up = machine.is_up is not False and now >= boot_ends
        else:
            is_up = machine.is_up
        return self._end(step) if is_up else Running(check_again_at=max(now + POLL, min(boot_ends, now + AWAY)))

    def _end(self, step: Step, failed: str | None = None) -> Progress:
        now = self.clock.now()
        self.memory.end(step.key, now, failed)
        return _ended(replace(step, ended_at=now, failed=failed))


def _happened(step: Step, machine: Machine) -> bool | None:
    """By the time of the last reset; None: the controller does not tell it."""
    if step.before is None or machine.reset_at is None:
        return None
    return machine.reset_at != step.before


def _shows_after(machine: Machine) -> timedelta:
    """A machine that is not up may still be on its way down."""
    return DOWN_WITHIN if machine.is_up is False else SHOWS_AFTER


def _choose(machine: Machine, model: Model, *, is_hard: bool) -> str | None:
    if machine.power == "Off" and model.resets == "system":
        return "On"
    wanted = model.quirks.hard if is_hard else model.quirks.graceful
    if not machine.kinds:
        return wanted[-1]
    return next((kind for kind in wanted if kind in machine.kinds), None)


def _ended(step: Step) -> Progress:
    at: datetime | None = step.ended_at
    assert at is not None
    return Failed(at=at, why=step.failed) if step.failed is not None else Succeeded(at=at)
