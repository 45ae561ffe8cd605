"""How every step is carried out: look, answer what is done or may not be, write the rest in as few calls as it takes,
and look again where a call failed, since it may have done a part.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.adapters.slurm.controller import Change, Controller
from fermata.adapters.slurm.holds import Hold, index_keys, judge, read_hold, settle
from fermata.adapters.slurm.reservations import names_of, nodes_reserved
from fermata.adapters.slurm.tags import Entry, Op, Trail, to_template, write_comment, write_reason
from fermata.domain.ids import StepKey
from fermata.domain.observations import Accepted, Answer, Denied, Later, NeverAsked, Progress, Unsure
from fermata.ports import CALL_SIZE_MAX, Ask, Clock, OutcomeUnknown, Refused, TryLater

_NEVER_THERE = ("contact", "connection refused", "connect failure")
Act = Callable[[Sequence[str], Change], Mapping[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One ask that is to be carried out on one node."""

    ask: Ask
    hold: Hold
    template: str


class Desk:
    """What all ports of one Slurm share. Nothing is kept here that a restart would lose."""

    def __init__(self, controller: Controller, clock: Clock) -> None:
        self.controller = controller
        self._clock = clock
        self.owner = controller.settings.owner
        self._reset_limit = timedelta(minutes=controller.settings.reset_minutes_max)

    def now(self) -> datetime:
        """Aware UTC, whole seconds: Slurm knows no smaller ones."""
        return self._clock.now().replace(microsecond=0)

    def look(self, names: Collection[str]) -> dict[str, Hold]:
        """The nodes that Slurm knows of `names`. Raises TryLater or Refused."""
        return {name: read_hold(self.owner, node) for name, node in self.controller.nodes(names).items()}

    def sort(
        self, op: Op, asks: Sequence[Ask], may_begin: Callable[[Hold, Op], Answer | None]
    ) -> tuple[dict[StepKey, Answer], list[Job]]:
        """What can be answered at once, and what is to be done. `may_begin`: why a node has to be left, or None."""
        check_size(asks)
        holds = self.look({ask.unit for ask in asks})
        answers: dict[StepKey, Answer] = {}
        jobs: list[Job] = []
        for ask in asks:
            hold = holds.get(ask.unit)
            if hold is None:
                answers[ask.key] = Denied(why=f"Slurm knows no node {ask.unit}")
                continue
            template = to_template(ask.key, ask.unit)
            obstacle = self._repeat(hold, template, op) if hold.knows(template) else may_begin(hold, op)
            if obstacle is not None:
                answers[ask.key] = obstacle
            else:
                jobs.append(Job(ask=ask, hold=hold, template=template))
        return answers, jobs

    def carry_out(self, op: Op, jobs: Iterable[Job], act: Act, *, state: str | None) -> dict[StepKey, Answer]:
        """Writes reason and comment of each, with `state`: nodes to which the same is written go together."""
        groups: dict[Change, list[Job]] = defaultdict(list)
        now = self.now()
        for job in jobs:
            groups[self._change(op, job, state, now)].append(job)
        answers: dict[StepKey, Answer] = {}
        for change, members in groups.items():
            missed = act([job.hold.node.name for job in members], change)
            answers |= self._answers(members, missed)
        return answers

    def observe(self, asks: Sequence[Ask], holds: Mapping[str, Hold] | None = None) -> dict[StepKey, Progress]:
        """How far each step is. Raises TryLater or Refused."""
        check_size(asks)
        now = self.now()
        told = index_keys((self.look_for(asks) if holds is None else holds).values())
        backs = any(op_of(told[ask.key]) in (Op.GIVE_BACK, Op.RELEASE) for ask in asks if ask.key in told)
        reserved = nodes_reserved(self.controller, self.owner) if backs else {}
        return {ask.key: self._progress(told.get(ask.key), now, self._reserved(ask.key, reserved)) for ask in asks}

    def find_marked(self, names: Collection[str], change: Change) -> list[str]:
        """Those of nodes whose answer was lost that show what was written. Nobody when they cannot be looked at."""
        try:
            seen = self.look(names)
        except (TryLater, Refused, OutcomeUnknown):
            return []
        return [name for name, hold in seen.items() if hold.node.reason == change.reason]

    def look_for(self, asks: Sequence[Ask]) -> Mapping[str, Hold]:
        """The nodes that the asks are about."""
        return self.look({ask.unit for ask in asks})

    def trail_of(self, hold: Hold, now: datetime) -> Trail:
        """What is remembered of a node, once its last step was judged."""
        last = hold.trail.last
        if last is None:
            return hold.trail
        return settle(hold.trail, judge(hold, last.template, now, reset_limit=self._reset_limit, reserved=()))

    def _progress(self, found: tuple[Hold, str] | None, now: datetime, reserved: Collection[str]) -> Progress:
        if found is None:
            return NeverAsked()
        hold, template = found
        return judge(hold, template, now, reset_limit=self._reset_limit, reserved=reserved)

    def _reserved(self, key: StepKey, reserved: Mapping[str, frozenset[str]]) -> frozenset[str]:
        """The nodes that are kept for the window of a step."""
        return frozenset[str]().union(*(reserved.get(name, ()) for name in names_of(self.owner, key)))

    def _repeat(self, hold: Hold, template: str, op: Op) -> Answer:
        """Of a step that Slurm shows already. One that somebody undid is not done again under the same key."""
        is_held = op in (Op.GIVE_BACK, Op.RELEASE) or hold.is_ours
        if is_held:
            return Accepted()
        return Denied(why=f"{hold.node.name} was put back by somebody after {op} was asked for")

    def _change(self, op: Op, job: Job, state: str | None, now: datetime) -> Change:
        trail = self.trail_of(job.hold, now)
        if op is Op.LOCK and not job.hold.is_ours:
            found = job.hold.node.reason if job.hold.node.takes_nothing else None
            trail = Trail(human=trail.human, found=found)
        entry = Entry(op=op, template=job.template, at=now)
        return Change(
            state=state,
            reason=None if op in (Op.GIVE_BACK, Op.RELEASE) else write_reason(self.owner, job.template, op),
            comment=write_comment(self.owner, trail.adding(entry)),
        )

    def _answers(self, jobs: Sequence[Job], missed: Mapping[str, str | None]) -> dict[StepKey, Answer]:
        """Accepted, but for nodes whose call failed: those are looked at again."""
        failed = [job for job in jobs if job.hold.node.name in missed]
        try:
            seen = self.look({job.hold.node.name for job in failed})
        except (TryLater, Refused, OutcomeUnknown):
            seen = {}
        answers: dict[StepKey, Answer] = {job.ask.key: Accepted() for job in jobs}
        for job in failed:
            answers[job.ask.key] = _judge_failed(job, seen.get(job.hold.node.name), missed[job.hold.node.name])
        return answers


def _judge_failed(job: Job, seen: Hold | None, why: str | None) -> Answer:
    """`why` None: the call did not end in time, and may still be on its way."""
    if seen is None:
        return Unsure()
    shown = seen.tag is not None and seen.tag.template == job.template
    entry = seen.trail.find(job.template)
    back = entry is not None and entry.op in (Op.GIVE_BACK, Op.RELEASE) and not seen.is_ours
    if shown or back:
        return Accepted()
    if why is None:
        return Unsure()
    if any(word in why.lower() for word in _NEVER_THERE):
        return Later(after=timedelta(minutes=1))
    return Denied(why=why)


def op_of(found: tuple[Hold, str]) -> Op | None:
    """What a known key asks."""
    hold, template = found
    entry = hold.trail.find(template)
    return entry.op if entry is not None else hold.tag.op if hold.tag is not None else None


def check_size(items: Sequence[object]) -> None:
    """Raises ValueError for a call that is too large."""
    if len(items) > CALL_SIZE_MAX:
        raise ValueError(f"{len(items)} items in a call, at most {CALL_SIZE_MAX} are allowed")
