"""Lock, drain and return of nodes. The lock is a cordon with our taint, written in one patch with the step that asks
for it, and only onto the version of the node that was looked at.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from fermata.adapters.kubernetes.claiming import Operator
from fermata.adapters.kubernetes.claims import NO_CLAIMS, Claims
from fermata.adapters.kubernetes.cluster import Cluster
from fermata.adapters.kubernetes.evicting import Waits, evict_all
from fermata.adapters.kubernetes.holds import Hold, write_leaving, write_note, write_taking
from fermata.adapters.kubernetes.marks import TEXT_MAX
from fermata.adapters.kubernetes_link import LATER
from fermata.adapters.step_trail import Mark, Op, Step, Trail
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
)
from fermata.ports import CALL_SIZE_MAX, Ask, Clock, OutcomeUnknown, Refused, TryLater

_LEAVING = (Op.GIVE_BACK, Op.RELEASE)
Write = Callable[[Hold, Trail, StepKey], dict[str, Any]]


class KubernetesWorkloads:
    """WorkloadManager."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster, self._clock, self._operator = cluster, clock, Operator(cluster)
        self._prefix = cluster.settings.prefix
        self._limit = timedelta(minutes=cluster.settings.drain_minutes_max)
        self._again = timedelta(seconds=cluster.settings.again_seconds)

    def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. A node that somebody else cordoned is left, and one that somebody else's NodeMaintenance has
        begun on, or would begin on without consent once it is cordoned.
        """
        return self._carry_out(Op.LOCK, asks, self._take, self._operator.claims() if asks else NO_CLAIMS)

    def drain(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. It is written down; `observe` has the pods leave, now and as often as budgets hold them."""
        return self._carry_out(Op.DRAIN, asks, self._take)

    def give_back(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. Only what we cordoned, and not while somebody else's NodeMaintenance has begun there. Ours ends
        after that: the next one to begin there must not find our cordon and take it for the node's own.
        """
        claims = self._operator.claims() if asks else NO_CLAIMS
        return self._carry_out(
            Op.GIVE_BACK, asks, lambda hold, trail, _: write_leaving(hold, self._prefix, trail, is_back=True), claims
        )

    def release(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. It stays cordoned, and whoever uncordons it next says that it may serve."""
        claims = self._operator.claims() if asks else NO_CLAIMS
        return self._carry_out(
            Op.RELEASE, asks, lambda hold, trail, _: write_leaving(hold, self._prefix, trail, is_back=False), claims
        )

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port. Nobody else asks again for pods that had to stay, so a drain that goes on is gone on with, for
        who asks with the newest generation. A newer one than any is written down before it is answered. Raises
        TryLater, Refused or OutcomeUnknown when that cannot be done: then nobody may decide from the answer.
        """
        _check_size(asks)
        if not asks:
            return {}
        now = self._now()
        holds = self._heard(asks, self._cluster.holds({ask.unit for ask in asks}))
        draining = {ask.unit: ask for ask in asks if ask.unit in holds and _goes_on(holds[ask.unit], ask)}
        waits = self._go_on(draining, holds, now)
        return {ask.key: self._progress(holds.get(ask.unit), ask, waits.get(ask.unit), now) for ask in asks}

    def _heard(self, asks: Sequence[Ask], holds: Mapping[str, Hold]) -> Mapping[str, Hold]:
        """The holds, once each node has heard of the generation that asks about it."""
        unheard = {ask.unit: ask for ask in asks if ask.unit in holds and _is_newer(holds[ask.unit], ask)}
        for name, ask in unheard.items():
            trail = holds[name].trail.hearing(ask.key, ask.generation)
            match self._cluster.patch(holds[name], write_note(holds[name], self._prefix, trail, holds[name].waiting)):
                case Accepted():
                    continue
                case Later(after=after):
                    raise TryLater(after, f"{name} was written by somebody else meanwhile, or the server is busy")
                case Denied(why=why):
                    raise Refused(why)
                case _:
                    raise OutcomeUnknown(f"whether {name} heard of generation {ask.generation}")
        return {**holds, **self._cluster.holds(unheard)} if unheard else holds

    def _go_on(self, draining: Mapping[str, Ask], holds: Mapping[str, Hold], now: datetime) -> Mapping[str, Waits]:
        """By node what it waits for, of those that are not empty. What the nodes say of it is as of now."""
        if not draining:
            return {}
        late = {name for name, ask in draining.items() if now >= self._limit + _step(holds[name], ask.key).at}
        waits = self._empty(draining, late)
        for name, ask in draining.items():
            self._note(holds[name], ask.key, waits.get(name), is_late=name in late, now=now)
        return waits

    def _empty(self, draining: Mapping[str, Ask], late: Collection[str]) -> dict[str, Waits]:
        """One round: what the operator has not granted is waited for, of the rest pods leave."""
        waits = dict(self._operator.look(draining, late))
        residents = self._cluster.residents(draining)
        by_operator = self._operator.words is not None and self._operator.words.drains
        staying = {pod.uid for pod in residents if pod.node in late or pod.node in waits or by_operator}
        for pod in residents:
            if pod.uid in staying:
                waits.setdefault(pod.node, Waits()).told.append(f"{pod.title} is still there")
        return {**waits, **evict_all(self._cluster, [pod for pod in residents if pod.uid not in staying])}

    def _carry_out(
        self, op: Op, asks: Sequence[Ask], write: Write, claims: Claims = NO_CLAIMS
    ) -> dict[StepKey, Answer]:
        _check_size(asks)
        if not asks:
            return {}
        holds = self._cluster.holds({ask.unit for ask in asks})
        return {ask.key: self._one(op, ask, holds.get(ask.unit), write, claims) for ask in asks}

    def _one(self, op: Op, ask: Ask, hold: Hold | None, write: Write, claims: Claims) -> Answer:
        if hold is None:
            return Denied(why=f"Kubernetes knows no node {ask.unit}")
        if ask.generation < hold.trail.newest(ask.key):
            return Overtaken()
        known = hold.trail.find(ask.key)
        if known is not None:
            return self._let_go(op, hold, claims) if known is hold.trail.last else _repeat(op, hold)
        unagreed = claims.find_unagreed(ask.unit) if op is Op.LOCK else None
        if unagreed is not None:
            return Denied(why=f"{op} is not done: others are about {ask.unit}, {unagreed.say()}")
        if op is Op.GIVE_BACK and claims.find_other(ask.unit) is not None:
            return Later(after=LATER)
        if not hold.is_ours:
            why = hold.say_holder() if op is Op.LOCK else hold.say_lost()
            if why is not None:
                return Denied(why=f"{op} is not done: {why}")
        step = Step(op=op, key=ask.key, at=self._now(), mark=Mark.ASKED if op is Op.DRAIN else Mark.DONE)
        trail = hold.trail.hearing(ask.key, ask.generation).adding(step)
        answer = self._cluster.patch(hold, write(hold, trail, ask.key))
        return self._let_go(op, hold, claims) if isinstance(answer, Accepted) and op in _LEAVING else answer

    def _let_go(self, op: Op, hold: Hold, claims: Claims) -> Answer:
        """Of a step that the node shows as its last one: what is left of it to do."""
        ours = claims.ours(hold.name) if op in _LEAVING else None
        if ours is None or self._operator.words is None or ours.requestor != self._operator.words.requestor:
            return _repeat(op, hold)
        return self._operator.let_go(ours)

    def _take(self, hold: Hold, trail: Trail, key: StepKey) -> dict[str, Any]:
        return write_taking(hold, self._prefix, trail, key)

    def _note(self, hold: Hold, key: StepKey, waits: Waits | None, *, is_late: bool, now: datetime) -> None:
        """Has the node tell what it waits for, or that it is empty. If that fails, the next look does it. Of one that
        is late the last reason stays.
        """
        if waits is None:
            self._cluster.patch(hold, write_note(hold, self._prefix, hold.trail.done(key, now), ""))
            return
        waiting = "; ".join((*waits.refused, *waits.told))[:TEXT_MAX]
        if waiting != hold.waiting and not (is_late and hold.waiting):
            self._cluster.patch(hold, write_note(hold, self._prefix, hold.trail, waiting))

    def _progress(self, hold: Hold | None, ask: Ask, waits: Waits | None, now: datetime) -> Progress:
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
        if ask.generation < hold.trail.newest(ask.key):
            return Running()
        return self._drained(hold, step.at + self._limit, waits, now)

    def _drained(self, hold: Hold, until: datetime, waits: Waits | None, now: datetime) -> Progress:
        if waits is None:
            return Succeeded(at=now)
        if waits.refused:
            return Failed(at=now, why=f"{hold.name} cannot be emptied: {waits.refused[0]}")
        if now >= until:
            return Failed(at=now, why=f"{hold.name} is not empty within {self._limit}: {hold.waiting or waits.told[0]}")
        return Running(check_again_at=min(now + self._again, until))

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


def _goes_on(hold: Hold, ask: Ask) -> bool:
    step = hold.trail.find(ask.key)
    is_fresh = ask.generation >= hold.trail.newest(ask.key)
    return step is not None and step.mark is Mark.ASKED and hold.is_ours and is_fresh


def _is_newer(hold: Hold, ask: Ask) -> bool:
    return ask.generation > hold.trail.newest(ask.key)


def _check_size(items: Sequence[object]) -> None:
    if len(items) > CALL_SIZE_MAX:
        raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")
