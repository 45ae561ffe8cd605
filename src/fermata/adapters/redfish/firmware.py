"""Firmware: one update at a time for each step key, found again by task, and by version where the task is gone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from fermata.adapters.controller_http import Busy, Lost, Rejected, Unreachable
from fermata.adapters.redfish.link import Controller, Link, Reply, retry_after, say
from fermata.adapters.redfish.reading import OVER, Services, agreed, find_task, read_versions, services
from fermata.adapters.redfish.settings import Component, Model, fill
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
from fermata.ports import ApplyAsk, Clock

POLL = timedelta(minutes=1)  # where a controller does not say when to ask again
AWAY = timedelta(minutes=2)  # a controller that restarts is away for about that long
TASK_STATES_FAILED = OVER - {"Completed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """An ask, and all that is known of its unit."""

    ask: ApplyAsk
    controller: Controller
    model: Model
    component: Component
    image: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Updates:
    """The port's calls, item by item."""

    link: Link
    memory: Memory
    clock: Clock

    async def apply(self, ask: ApplyAsk) -> Answer:
        """Starts writing, unless that goes on or is done already."""
        settings = self.link.settings
        unit = settings.find(ask.unit)
        if unit is None:
            return Denied(why=f"{ask.unit} has no controller in the settings of Redfish")
        component = settings.model_of(unit).components.get(ask.component)
        if component is None:
            return Denied(why=f"model {unit.model} in the settings of Redfish has no component {ask.component}")
        step = self.memory.find(ask.key)
        if step is not None and step.is_done:
            return Accepted(check_again_at=None if step.ended_at else self.clock.now() + POLL)
        controller = self.link.controller(unit.address)
        try:
            found = await services(self.link, controller)
            job = _Job(
                ask=ask,
                controller=controller,
                model=settings.model_of(unit),
                component=component,
                image=fill(component.image or settings.image, ask.update, ask.component, ask.to_version),
                targets=_targets(component, found, sends=settings.model_of(unit).quirks.sends_targets),
            )
            return await self._find_done(job) or await self._write(job, found)
        except (Unreachable, Lost):
            return Later(after=AWAY)  # only questions were asked: nothing was done
        except Busy as busy:
            return Later(after=busy.after)
        except Rejected as rejected:
            return Denied(why=str(rejected))

    async def _find_done(self, job: _Job) -> Answer | None:
        """What was done already, or goes on: the version is there, or a task writes it."""
        ask = job.ask
        versions = await read_versions(self.link, job.controller, job.component.inventory)
        if agreed(job.component, versions) == ask.to_version:
            self.memory.begin(_step(job, self.clock.now()))
            self.memory.end(ask.key, self.clock.now())
            return Accepted(check_again_at=self.clock.now())
        task = await find_task(self.link, job.controller, job.image, job.targets)
        if task is None:
            return None
        self.memory.begin(_step(job, self.clock.now()))
        self.memory.done(ask.key, task)
        return Accepted(check_again_at=self.clock.now() + POLL)

    async def _write(self, job: _Job, found: Services) -> Answer:
        why = _obstacle(job, found)
        if why is not None:
            return Denied(why=why)
        key = job.ask.key
        self.memory.begin(_step(job, self.clock.now()))
        try:
            reply = await (self._pull(job, found) if _is_pulled(job.image) else self._push(job, found))
        except Lost:
            return Unsure()
        except (Unreachable, Busy, Rejected):
            self.memory.forget(key)  # nothing was done
            raise
        self.memory.done(key, _task_of(reply))
        return Accepted(check_again_at=self.clock.now() + retry_after(reply, POLL))

    async def _pull(self, job: _Job, found: Services) -> Reply:
        assert found.simple_update is not None
        body = _parameters(job) | {
            "ImageURI": job.image,
            "TransferProtocol": urlsplit(job.image).scheme.upper(),
        }
        return await self.link.ask(job.controller, "POST", found.simple_update, body)

    async def _push(self, job: _Job, found: Services) -> Reply:
        assert found.push is not None
        file = Path(job.image)

        def form() -> aiohttp.FormData:
            parts = aiohttp.FormData()
            json = "application/json"
            parts.add_field("UpdateParameters", orjson.dumps(_parameters(job)).decode(), content_type=json)
            if job.model.quirks.oem_part:
                oem = orjson.dumps(dict(job.component.oem)).decode()
                parts.add_field(job.model.quirks.oem_part, oem, content_type=json)
            octets = "application/octet-stream"
            parts.add_field("UpdateFile", file.open("rb"), filename=file.name, content_type=octets)
            return parts

        return await self.link.ask(job.controller, "POST", found.push, form=form)

    async def observe(self, key: StepKey) -> Progress:
        """How far it is; Running where the controller does not answer."""
        step = self.memory.find(key)
        if step is None:
            return NeverAsked()
        if step.ended_at is not None:
            return _ended(step)
        unit = self.link.settings.find(step.unit)
        model = None if unit is None else self.link.settings.model_of(unit)
        component = None if model is None else model.components.get(step.component)
        if unit is None or model is None or component is None:
            return Failed(at=self.clock.now(), why=f"{step.component} of {step.unit} left the settings of Redfish")
        controller = self.link.controller(unit.address)
        look = self._look_for if step.task is None else self._ask_task
        try:
            return await look(step, controller, model, component)
        except (Unreachable, Lost):
            return Running(check_again_at=self.clock.now() + AWAY)
        except Busy as busy:
            return Running(check_again_at=self.clock.now() + busy.after)
        except Rejected as rejected:
            return self._end(step, str(rejected))

    async def _ask_task(self, step: Step, controller: Controller, model: Model, component: Component) -> Progress:
        assert step.task is not None
        try:
            reply = await self.link.get(controller, step.task)
        except Rejected as rejected:
            if rejected.status != 404:
                raise
            return await self._look_for(step, controller, model, component)
        state = reply.body.get("TaskState")
        if state == "Completed" and reply.body.get("TaskStatus") != "Critical":
            return self._end(step)
        if state in TASK_STATES_FAILED or state == "Completed":
            return self._end(step, f"the task ended as {state}: {say(replace(reply, body=_told(reply)))}")
        if state in model.quirks.staged_states and component.apply_time == "on_reset":
            return self._end(step)
        if reply.status != 202 and state is None:
            return self._end(step)  # a monitor whose operation is over
        return Running(check_again_at=self.clock.now() + retry_after(reply, POLL))

    async def _look_for(self, step: Step, controller: Controller, model: Model, component: Component) -> Progress:
        """Where no task tells: the version does, or another task that does the same."""
        versions = await read_versions(self.link, controller, component.inventory)
        if agreed(component, versions) == step.version:
            return self._end(step)
        found = await services(self.link, controller)
        targets = _targets(component, found, sends=model.quirks.sends_targets)
        task = await find_task(self.link, controller, step.image, targets)
        if task is not None and task != step.task:
            self.memory.done(step.key, task)
            return Running(check_again_at=self.clock.now() + POLL)
        if not step.is_done:
            self.memory.forget(step.key)
            return NeverAsked()
        runs = ", ".join(sorted(set(versions.values()))) or "no version that it tells"
        return self._end(step, f"its controller knows nothing of the task any more, and {step.component} runs {runs}")

    def _end(self, step: Step, failed: str | None = None) -> Progress:
        now = self.clock.now()
        self.memory.end(step.key, now, failed)
        return _ended(replace(step, ended_at=now, failed=failed))


def _ended(step: Step) -> Progress:
    assert step.ended_at is not None
    if step.failed is not None:
        return Failed(at=step.ended_at, why=step.failed)
    return Succeeded(at=step.ended_at)


def _step(job: _Job, now: datetime) -> Step:
    return Step(
        key=job.ask.key,
        unit=job.ask.unit,
        op="apply",
        component=job.ask.component,
        version=job.ask.to_version,
        image=job.image,
        asked_at=now,
    )


def _targets(component: Component, found: Services, *, sends: bool) -> tuple[str, ...]:
    if not sends:
        return ()
    if component.target is not None:
        return (component.target,)
    return tuple(f"{found.inventory}/{name}" for name in component.inventory)


def _parameters(job: _Job) -> dict[str, Any]:
    word = job.model.quirks.apply_times[job.component.apply_time]
    found: dict[str, Any] = {"@Redfish.OperationApplyTime": word} if word else {}
    return found | ({"Targets": list(job.targets)} if job.targets else {})


def _obstacle(job: _Job, found: Services) -> str | None:
    """Why this controller cannot be asked at all."""
    at = job.controller.address
    quirks = job.model.quirks
    if _is_pulled(job.image) and found.simple_update is None:
        return f"{at} pulls no images: let `image` be a path, so that they are pushed"
    if not _is_pulled(job.image):
        if found.push is None:
            return f"{at} takes no pushed images: let `image` be an http address"
        if not Path(job.image).is_file():
            return f"there is no image {job.image}"
    word = quirks.apply_times[job.component.apply_time]
    if word and found.apply_times is not None and word not in found.apply_times:
        return f"{at} knows no apply time {word}, only {', '.join(sorted(found.apply_times))}"
    if quirks.targets_max is not None and len(job.targets) > quirks.targets_max:
        return f"{at} takes {quirks.targets_max} target of an update: name one with `target`, not {len(job.targets)}"
    return None


def _is_pulled(image: str) -> bool:
    return image.startswith(("http://", "https://"))


def _task_of(reply: Reply) -> str | None:
    """The task's own address rather than its monitor's: it stays when the task is over."""
    task = reply.body.get("@odata.id") if "TaskState" in reply.body else None
    found = task or reply.headers.get("location")
    return urlsplit(str(found)).path if found else None


def _told(reply: Reply) -> Mapping[str, Any]:
    messages = reply.body.get("Messages")
    return {"@Message.ExtendedInfo": messages if isinstance(messages, list) else []}
