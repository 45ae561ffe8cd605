"""Lock, drain and return of nodes. The lock is a cordon with our taint, written in one patch with the step that asks
for it, and only onto the version of the node that was looked at.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from fermata.adapters.kubernetes.cluster import Cluster
from fermata.adapters.kubernetes.evicting import evict_all
from fermata.adapters.kubernetes.holds import Hold, write_leaving, write_note, write_taking
from fermata.adapters.kubernetes.marks import Mark, Op, Step, Trail
from fermata.domain.ids import StepKey
from fermata.domain.observations import (
    Accepted,
    Answer,
    Denied,
    Failed,
    NeverAsked,
    Overtaken,
    Progress,
    Running,
    Succeeded,
)
from fermata.ports import CALL_SIZE_MAX, Ask, Clock

Write = Callable[[Hold, Trail, StepKey], dict[str, Any]]


class KubernetesWorkloads:
    """WorkloadManager."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster, self._clock = cluster, clock
        self._prefix = cluster.settings.prefix
        self._limit = timedelta(minutes=cluster.settings.drain_minutes_max)
        self._again = timedelta(seconds=cluster.settings.again_seconds)

    def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. A node that somebody else cordoned is left."""
        return self._carry_out(Op.LOCK, asks, self._take)

    def drain(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. Pods are told to end as their disruption budgets let them; `observe` goes on with that."""
        answers = self._carry_out(Op.DRAIN, asks, self._take)
        accepted = [ask for ask in asks if isinstance(answers[ask.key], Accepted)]
        if accepted:
            evict_all(self._cluster, self._cluster.residents({ask.unit for ask in accepted}))
        return answers

    def give_back(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. Only what we cordoned."""
        return self._carry_out(
            Op.GIVE_BACK, asks, lambda hold, trail, _: write_leaving(hold, self._prefix, trail, is_back=True)
        )

    def release(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. It stays cordoned, and whoever uncordons it next says that it may serve."""
        return self._carry_out(
            Op.RELEASE, asks, lambda hold, trail, _: write_leaving(hold, self._prefix, trail, is_back=False)
        )

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port. Nobody else asks again for pods that had to stay, so a drain that goes on is gone on with."""
        _check_size(asks)
        if not asks:
            return {}
        now = self._now()
        holds = self._cluster.holds({ask.unit for ask in asks})
        draining = {ask.unit: ask for ask in asks if ask.unit in holds and _goes_on(holds[ask.unit], ask.key)}
        waits: Mapping[str, list[str]] = {}
        if draining:
            residents = self._cluster.residents(draining)
            late = {name for name in draining if now >= self._limit + _step(holds[name], draining[name].key).at}
            waits = {pod.node: [f"{pod.title} is still there"] for pod in residents if pod.node in late}
            waits = {**waits, **evict_all(self._cluster, [pod for pod in residents if pod.node not in late])}
            for name, ask in draining.items():
                self._note(holds[name], ask.key, waits.get(name, []), now)
        return {ask.key: self._progress(holds.get(ask.unit), ask, waits.get(ask.unit, []), now) for ask in asks}

    def _carry_out(self, op: Op, asks: Sequence[Ask], write: Write) -> dict[StepKey, Answer]:
        _check_size(asks)
        if not asks:
            return {}
        holds = self._cluster.holds({ask.unit for ask in asks})
        return {ask.key: self._one(op, ask, holds.get(ask.unit), write) for ask in asks}

    def _one(self, op: Op, ask: Ask, hold: Hold | None, write: Write) -> Answer:
        if hold is None:
            return Denied(why=f"Kubernetes knows no node {ask.unit}")
        if ask.generation < hold.trail.newest(ask.key):
            return Overtaken()
        if hold.trail.find(ask.key) is not None:
            return _repeat(op, hold)
        if not hold.is_ours:
            why = hold.say_holder() if op is Op.LOCK else hold.say_lost()
            if why is not None:
                return Denied(why=f"{op} is not done: {why}")
        mark = Mark.ASKED if op is Op.DRAIN else Mark.DONE
        step = Step(op=op, key=ask.key, at=self._now(), mark=mark, generation=ask.generation)
        return self._cluster.patch(hold, write(hold, hold.trail.adding(step), ask.key))

    def _take(self, hold: Hold, trail: Trail, key: StepKey) -> dict[str, Any]:
        return write_taking(hold, self._prefix, trail, key)

    def _note(self, hold: Hold, key: StepKey, waits: Sequence[str], now: datetime) -> None:
        """Has the node tell what it waits for, or that it is empty. If that fails, the next look does it."""
        waiting = "; ".join(waits)
        if not waits:
            self._cluster.patch(hold, write_note(hold, self._prefix, hold.trail.done(key, now), ""))
        elif waiting[: len(hold.waiting) or None] != hold.waiting or not hold.waiting:
            self._cluster.patch(hold, write_note(hold, self._prefix, hold.trail, waiting))

    def _progress(self, hold: Hold | None, ask: Ask, waits: Sequence[str], now: datetime) -> Progress:
        step = hold.trail.find(ask.key) if hold is not None else None
        if hold is None or step is None:
            return NeverAsked()
        at = min(step.at, now)
        if step is hold.trail.last and hold.is_open and not hold.is_ours:
            return Failed(at=now, why=f"{step.op} does not hold any more: {hold.say_lost()}")
        if step.mark is Mark.OVERTAKEN:
            return Failed(at=at, why=f"{step.op} of {hold.name} was ended by its next step")
        if step.mark is Mark.DONE:
            return Succeeded(at=at)
        if not waits:
            return Succeeded(at=now)
        if now >= step.at + self._limit:
            return Failed(at=now, why=f"{hold.name} is not empty within {self._limit}: {hold.waiting or waits[0]}")
        return Running(check_again_at=min(now + self._again, step.at + self._limit))

    def _now(self) -> datetime:
        return self._clock.now().replace(microsecond=0)


def _repeat(op: Op, hold: Hold) -> Answer:
    """Of a step that the node shows already. One that somebody undid is not done again under the same key."""
    if op in (Op.LOCK, Op.DRAIN) and not hold.is_ours:
        return Denied(why=f"{op} was done, and does not hold any more: {hold.say_lost()}")
    return Accepted()


def _step(hold: Hold, key: StepKey) -> Step:
    found = hold.trail.find(key)
    assert found is not None
    return found


def _goes_on(hold: Hold, key: StepKey) -> bool:
    step = hold.trail.find(key)
    return step is not None and step.mark is Mark.ASKED and hold.is_ours


def _check_size(items: Sequence[object]) -> None:
    if len(items) > CALL_SIZE_MAX:
        raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")
