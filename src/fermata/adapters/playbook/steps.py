"""Steps: each belongs to one run, which is begun once, and has succeeded when its unit is read to be as it should."""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from fermata.adapters.playbook.events import End, HostEnd
from fermata.adapters.playbook.looks import Looks, Reading
from fermata.adapters.playbook.runs import GRACE, Ended, Order, Runs
from fermata.adapters.playbook.settings import Act, Component, Settings
from fermata.adapters.step_memory import Memory, Step
from fermata.domain.ids import StepKey
from fermata.domain.observations import (
    Accepted,
    Answer,
    Denied,
    Failed,
    Later,
    NeverAsked,
    Overtaken,
    Progress,
    Running,
    Succeeded,
    Unsure,
)
from fermata.ports import CALL_SIZE_MAX, ApplyAsk, Ask, Clock, OutcomeUnknown, Refused, TryLater

POLL = timedelta(minutes=1)
SOON = timedelta(seconds=10)  # until what another process of ours just began is asked about
APPLY, REBOOT, RESET = "apply", "reboot", "reset"
CUT_OFF = {"timeout": "took longer than it may", "canceled": "was cancelled"}
NO_BOOT = "reads no fermata_boot, so that nobody could tell whether it booted"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What one run does to all of its units."""

    op: str
    act: Act
    update: str = ""
    component: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The ports' calls."""

    settings: Settings
    runs: Runs
    looks: Looks
    memory: Memory
    clock: Clock

    def apply(self, asks: Sequence[ApplyAsk]) -> Mapping[StepKey, Answer]:
        """A run for each version of each component among them."""
        _check_size(asks)
        answers, fresh = self._sort_out(asks)
        groups: dict[tuple[str, str, str], list[Ask]] = {}
        taken: set[str] = set()
        for ask in (ask for ask in asks if ask.key in fresh):
            if ask.component not in self.settings.components_of(ask.unit):
                why = f"{ask.unit} has no component {ask.component} in the settings of playbooks"
                answers[ask.key] = Denied(why=why)
            elif ask.unit in taken:
                answers[ask.key] = Later(after=POLL)  # one run at a time on a unit
            else:
                taken.add(ask.unit)
                groups.setdefault((ask.update, ask.component, ask.to_version), []).append(_plain(ask))
        for (update, component, version), members in groups.items():
            act = self.settings.components[component]
            work = _Work(op=APPLY, act=act, update=update, component=component, version=version)
            answers |= self._begin(work, members, {})
        return answers

    def boot(self, asks: Sequence[Ask], op: str, act: Act | None) -> Mapping[StepKey, Answer]:
        """Reboots or resets, as `op` says."""
        _check_size(asks)
        answers, fresh = self._sort_out(asks)
        ready = [ask for ask in asks if ask.key in fresh]
        if act is None:
            return {**answers, **{ask.key: Denied(why=f"the settings name no playbook for a {op}") for ask in ready}}
        if not ready:
            return answers
        try:
            readings = self.looks.read(act.read_file, [ask.unit for ask in ready])
        except (TryLater, OutcomeUnknown):  # of the look: nothing was done
            return {**answers, **{ask.key: Later(after=POLL) for ask in ready}}
        obstacles = {ask.key: _find_obstacle(op, act, readings.get(ask.unit)) for ask in ready}
        answers |= {key: answer for key, answer in obstacles.items() if answer is not None}
        before = {name: reading.boot for name, reading in readings.items() if reading.boot is not None}
        return {**answers, **self._begin(_Work(op=op, act=act), [a for a in ready if a.key not in answers], before)}

    def _sort_out(self, asks: Sequence[Ask] | Sequence[ApplyAsk]) -> tuple[dict[StepKey, Answer], set[StepKey]]:
        """Answers to what was asked before, or cannot be begun; and the keys of the rest."""
        answers: dict[StepKey, Answer] = {}
        for ask in asks:
            if self.memory.hear(ask.key, ask.generation) > ask.generation:
                answers[ask.key] = Overtaken()
                continue
            step = self._recall(ask.key)
            if step is not None:
                answers[ask.key] = Accepted(check_again_at=None if step.ended_at else self.clock.now() + POLL)
        rest = [ask for ask in asks if ask.key not in answers]
        if not rest:
            return answers, set()
        known = frozenset(self.looks.known([ask.unit for ask in rest]))
        alive = self.runs.find_alive().keys()
        for ask in rest:
            if ask.unit not in known:
                answers[ask.key] = Denied(why=f"{ask.unit} is no host in the inventory of playbooks")
            elif any(step.task in alive for step in self.memory.list_open(ask.unit)):
                answers[ask.key] = Later(after=POLL)  # one run at a time on a unit
        return answers, {ask.key for ask in rest} - answers.keys()

    def _recall(self, key: StepKey) -> Step | None:
        """What was begun under a key. One whose run was only about to be begun, never is."""
        step = self.memory.find(key)
        if step is None or step.is_done or step.task is None:
            return step
        if self.runs.void(step.task):
            self.memory.forget(key)
            return None
        self.memory.done(key, step.task)
        return replace(step, is_done=True)

    def _begin(self, work: _Work, asks: Sequence[Ask], before: Mapping[str, str]) -> dict[StepKey, Answer]:
        """One run for all of them, unless enough go on already."""
        going_on = [name for name in self.runs.find_alive() if not self.runs.is_look(name)]
        if not asks or len(going_on) >= self.settings.runs_at_once:
            return {ask.key: Later(after=POLL) for ask in asks}
        now = self.clock.now()
        self.runs.prune()
        name = self.runs.name(f"{work.op}-{work.component}" if work.component else work.op)
        ours = [
            ask for ask in asks if self.memory.claim(_step(work, ask, name, now, before.get(ask.unit)), ask.generation)
        ]
        answers: dict[StepKey, Answer] = {ask.key: Later(after=SOON) for ask in asks if ask not in ours}
        return answers | (self._run(name, work, ours, now) if ours else {})

    def _run(self, name: str, work: _Work, asks: Sequence[Ask], now: datetime) -> dict[StepKey, Answer]:
        try:
            self.runs.write(name, self._order(work, asks))
            self.runs.begin(name, work.act.run_file)
        except (OSError, Refused) as error:
            if self.runs.void(name):  # nothing was done
                for ask in asks:
                    self.memory.forget(ask.key)
                self.runs.remove(name)
                if isinstance(error, Refused):
                    raise
                return {ask.key: Later(after=POLL) for ask in asks}
        except subprocess.TimeoutExpired:
            return {ask.key: Unsure() for ask in asks}
        self.looks.changed([ask.unit for ask in asks], now)
        for ask in asks:
            self.memory.done(ask.key, name)
        return {ask.key: Accepted(check_again_at=self.clock.now() + POLL) for ask in asks}

    def _order(self, work: _Work, asks: Sequence[Ask]) -> Order:
        steps = {self.settings.host_of(ask.unit): ask.key for ask in asks}
        given = name_variables(work.op, component=work.component, update=work.update, version=work.version, steps=steps)
        return Order(
            playbook=work.act.run_file,
            hosts=tuple(steps),
            minutes=work.act.minutes,
            variables={**self.settings.variables, **given},
        )

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """How far each is. Where a run is over, its units are read; where one cannot be read, it goes on."""
        _check_size(asks)
        found: dict[StepKey, Progress] = {}
        by_run: dict[str, list[Step]] = {}
        for ask in asks:
            self.memory.hear(ask.key, ask.generation)
            step = self._recall(ask.key)
            if step is None:
                found[ask.key] = NeverAsked()
            elif step.ended_at is not None:
                found[ask.key] = _ended(step)
            else:
                assert step.task is not None
                by_run.setdefault(step.task, []).append(step)
        alive = self.runs.find_alive() if by_run else {}
        to_read: list[tuple[Step, Ended, HostEnd]] = []
        for name, steps in by_run.items():
            if not self.runs.is_over(name, alive):
                found |= self._go_on(name, steps)
                continue
            ended = self.runs.end(name)
            for step in steps:
                host = ended.hosts.get(self.settings.host_of(step.unit), HostEnd(end=End.UNKNOWN))
                why = _say_failed(step, ended, host)
                if why is None:
                    to_read.append((step, ended, host))
                else:
                    found[step.key] = self._end(step, self.clock.now(), why)
        return found | self._read(to_read)

    def _go_on(self, name: str, steps: Sequence[Step]) -> Mapping[StepKey, Progress]:
        """Of a run that is alive. One that is far above its time is ended here: Ansible Runner did not."""
        now = self.clock.now()
        minutes = [act.minutes for step in steps if (act := self._act(step)) is not None]
        limit = steps[0].asked_at + timedelta(minutes=max(minutes, default=0)) + GRACE
        if now >= limit or self.runs.is_written(name):
            self.runs.stop(name)
            return {step.key: Running(check_again_at=now + SOON) for step in steps}
        return {step.key: Running(check_again_at=min(limit, now + POLL)) for step in steps}

    def _act(self, step: Step) -> Act | None:
        if step.op == APPLY:
            return self.settings.components_of(step.unit).get(step.component)
        return self.settings.reboot if step.op == REBOOT else self.settings.reset

    def _read(self, over: Sequence[tuple[Step, Ended, HostEnd]]) -> dict[StepKey, Progress]:
        found: dict[StepKey, Progress] = {}
        groups: dict[Path, list[tuple[Step, Ended, HostEnd]]] = {}
        for step, ended, host in over:
            act = self._act(step)
            if act is None:
                found[step.key] = self._end(step, self.clock.now(), f"{step.op} of {step.unit} left the settings")
            else:
                groups.setdefault(act.read_file, []).append((step, ended, host))
        for playbook, members in groups.items():
            readings: Mapping[str, Reading] = {}
            said = ""
            try:
                readings = self.looks.read(playbook, [step.unit for step, _, _ in members])
            except (TryLater, Refused, OutcomeUnknown) as error:
                said = str(error)
            for step, ended, host in members:
                found[step.key] = self._judge(step, ended, host, readings.get(step.unit), said)
        return found

    def _judge(self, step: Step, ended: Ended, host: HostEnd, reading: Reading | None, said: str) -> Progress:
        """Success is what is read. Of what nobody saw the end, and of what cannot be read, nothing is said too soon."""
        now = self.clock.now()
        name = Path(step.image).name
        if reading is not None and reading.is_told:
            lacking = self._find_lacking(step, reading)
            if lacking is None:
                return self._end(step, reading.at)
            if host.end is End.DONE:
                return self._end(step, now, f"{name} ended without a fault, and {lacking}")
            if host.end is End.LEFT_OUT and ended.is_whole:
                return self._end(step, now, f"{name} has nothing for it, and {lacking}")
            why = f"{name} {_say_end(ended, host)}, and {lacking}"
        else:
            told = (reading.end.says if reading is not None else said) or "it was left out"
            why = f"{name} {_say_end(ended, host)}, and {step.unit} cannot be read: {told}"
        until = ended.at + self.settings.settle
        return Running(check_again_at=min(until, now + POLL)) if now < until else self._end(step, now, why)

    def _find_lacking(self, step: Step, reading: Reading) -> str | None:
        """What is not as it should be; None: all is."""
        if step.op != APPLY:
            if reading.boot is None:
                return f"its playbook {NO_BOOT}"
            return "it runs since before" if reading.boot == step.before else None
        part = self.settings.components_of(step.unit).get(step.component)
        staged = isinstance(part, Component) and part.activates == "reboot"
        version = reading.version(step.component, staged=staged)
        running = reading.version(step.component)
        if step.version in (version, running):
            return None
        if staged:
            return f"what waits for a reboot of {step.component} is {version or 'not told by fermata_staged'}"
        return f"{step.component} is {version or 'not told by fermata_versions'}"

    def _end(self, step: Step, at: datetime, failed: str | None = None) -> Progress:
        self.memory.end(step.key, at, failed)
        self.looks.changed([step.unit], at)
        return _ended(replace(step, ended_at=at, failed=failed))


def _say_end(ended: Ended, host: HostEnd) -> str:
    if host.end is End.UNREACHED:
        return f"lost sight of it ({host.says})"
    return "ended without a fault" if ended.is_whole else CUT_OFF.get(ended.status, "was cut off")


def _find_obstacle(op: str, act: Act, reading: Reading | None) -> Answer | None:
    """What a unit's boot is called has to be known before, to see that it is another one after. What does not answer
    can be reset, but not asked to reboot in good order.
    """
    if reading is not None and reading.is_told:
        return Denied(why=f"{act.read_file.name} {NO_BOOT}") if reading.boot is None else None
    return Later(after=POLL) if op == REBOOT else None


def name_variables(
    op: str, *, component: str, update: str = "", version: str = "", steps: Mapping[str, StepKey] | None = None
) -> dict[str, object]:
    """What playbooks are told. `steps`: by host, the key of its step."""
    return {
        "fermata_op": op,
        "fermata_update": update,
        "fermata_component": component,
        "fermata_version": version,
        "fermata_nodes": list(steps or ()),
        "fermata_steps": dict(steps or {}),
    }


def _say_failed(step: Step, ended: Ended, host: HostEnd) -> str | None:
    """Why it failed, where the run itself says so; None: what its unit runs says how it ended."""
    match host.end:
        case End.FAILED:
            return host.says or f"{Path(step.image).name} failed"
        case End.LEFT_OUT if ended.status == "failed" and all(one.end is End.LEFT_OUT for one in ended.hosts.values()):
            return f"{Path(step.image).name} did not come to a task: {ended.says or 'it does not say why'}"
        case _:
            return None


def _step(work: _Work, ask: Ask, run: str, now: datetime, before: str | None) -> Step:
    return Step(
        key=ask.key,
        unit=ask.unit,
        op=work.op,
        component=work.component,
        version=work.version,
        image=str(work.act.run_file),
        asked_at=now,
        before=before,
        task=run,
    )


def _ended(step: Step) -> Progress:
    assert step.ended_at is not None
    return Succeeded(at=step.ended_at) if step.failed is None else Failed(at=step.ended_at, why=step.failed)


def _plain(ask: ApplyAsk) -> Ask:
    return Ask(key=ask.key, unit=ask.unit, generation=ask.generation)


def _check_size(asks: Iterable[object]) -> None:
    count = len(list(asks))
    if count > CALL_SIZE_MAX:
        raise ValueError(f"{count} items in a call, at most {CALL_SIZE_MAX} are allowed")
