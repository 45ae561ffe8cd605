"""Lock, drain and return of nodes. The lock is a drain with our reason, which ends by nobody's clock;
a reservation ends by itself, and only keeps jobs away before a window (`reservations`).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

from fermata.adapters.slurm.commands import NotDone
from fermata.adapters.slurm.controller import Change
from fermata.adapters.slurm.desk import Desk, Job
from fermata.adapters.slurm.holds import Hold, say_holder
from fermata.adapters.slurm.reservations import let_go
from fermata.adapters.slurm.tags import Op
from fermata.domain.ids import StepKey
from fermata.domain.observations import Answer, Denied, Later, Progress
from fermata.ports import Ask, OutcomeUnknown, Refused

AGAIN = timedelta(minutes=2)


class SlurmWorkloads:
    """WorkloadManager."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. A node that somebody else took out is left, and its answer says who and why."""
        answers, jobs = self._desk.sort(Op.LOCK, asks, _may_lock)
        return answers | self._desk.carry_out(Op.LOCK, jobs, self._desk.controller.change, state="drain")

    def drain(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. Nothing new has begun since the lock; what runs is waited for, or requeued first."""
        answers, jobs = self._desk.sort(Op.DRAIN, asks, _may_change)
        if self._desk.controller.settings.jobs == "requeue":
            self._requeue(jobs)
        return answers | self._desk.carry_out(Op.DRAIN, jobs, self._desk.controller.change, state="drain")

    def give_back(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. Only what we drained, and out of our reservations first."""
        answers, jobs = self._desk.sort(Op.GIVE_BACK, asks, _may_change)
        let_go(self._desk.controller, self._desk.owner, [job.ask for job in jobs])
        return answers | self._desk.carry_out(Op.GIVE_BACK, jobs, self._desk.controller.change, state="resume")

    def release(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. What was found down is down again, with the reason that it had; what was found in service stays
        drained, with a reason that is not ours any more, since nobody here may say that it goes back.
        """
        answers, jobs = self._desk.sort(Op.RELEASE, asks, _may_change)
        let_go(self._desk.controller, self._desk.owner, [job.ask for job in jobs])
        for found in {job.hold.trail.found for job in jobs}:
            members = [job for job in jobs if job.hold.trail.found == found]
            answers |= self._desk.carry_out(Op.RELEASE, members, partial(self._let_out, found), state=None)
        return answers

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port."""
        return self._desk.observe(asks)

    def _let_out(self, found: str | None, names: Sequence[str], change: Change) -> Mapping[str, str | None]:
        """Down, then without our drain, then with its old reason: until the last it is known as ours."""
        controller = self._desk.controller
        if found is None:
            words = f"left out of service by {self._desk.owner}, which holds it no more"
            return controller.change(names, Change(reason=words, comment=change.comment))
        missed: dict[str, str | None] = {}
        for each in (
            Change(state="down", reason=f"{self._desk.owner}:* {Op.RELEASE}"),
            Change(state="undrain"),
            Change(reason=found or "Not responding", comment=change.comment),
        ):
            left = [name for name in names if name not in missed]
            missed |= controller.change(left, each)
        return missed

    def _requeue(self, jobs: Sequence[Job]) -> None:
        """Puts back what may be put back; what may not, and what fails, is waited for."""
        names = {job.hold.node.name for job in jobs if job.hold.node.is_busy}
        if not names:
            return
        for job in self._desk.controller.jobs():
            if job.requeues and job.nodes & names and job.state == "RUNNING":
                try:
                    self._desk.controller.act("requeue", job.id)
                except (NotDone, Refused, OutcomeUnknown):
                    continue


def _may_lock(hold: Hold, _op: Op) -> Answer | None:
    if hold.is_ours:
        return Later(after=AGAIN) if hold.node.reboots else None
    why = say_holder(hold.node)
    return Denied(why=why) if why is not None else None


def _may_change(hold: Hold, op: Op) -> Answer | None:
    if hold.is_ours:
        return Later(after=AGAIN) if hold.node.reboots else None
    name = hold.node.name
    why = say_holder(hold.node) or f"{name} is not drained by us: somebody put it back, or nobody locked it"
    return Denied(why=f"{op} is not done: {why}")
