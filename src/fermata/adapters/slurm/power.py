"""Reboots by Slurm itself; a hard reset by a program that the site names, or not at all."""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta

from fermata.adapters.slurm.controller import Change
from fermata.adapters.slurm.desk import Desk
from fermata.adapters.slurm.holds import Hold, say_holder
from fermata.adapters.slurm.tags import Op
from fermata.domain.ids import StepKey
from fermata.domain.observations import Answer, Denied, Later, Progress
from fermata.ports import Ask


class SlurmPower:
    """Power. Nothing is done to a node that we do not hold, or that jobs are on."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def reboot(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. The node is down afterwards: only proof brings it back."""
        answers, jobs = self._desk.sort(Op.REBOOT, asks, _may_touch)
        return answers | self._desk.carry_out(Op.REBOOT, jobs, self._reboot, state=None)

    def reset(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        """See the port. Refused without a program for it."""
        program = self._desk.controller.settings.reset_program
        if program is None or not os.access(program, os.X_OK):
            why = "reset_program is not set" if program is None else f"{program} is no program that can be run"
            answers, jobs = self._desk.sort(Op.RESET, asks, _may_touch)
            return answers | {job.ask.key: Denied(why=f"Slurm cuts nobody's power, and {why}") for job in jobs}
        answers, jobs = self._desk.sort(Op.RESET, asks, _may_touch)
        return answers | self._desk.carry_out(Op.RESET, jobs, self._reset, state="drain")

    def observe(self, asks: Sequence[Ask]) -> Mapping[StepKey, Progress]:
        """See the port. slurmctld takes our drain off a node that it rebooted and leaves it down, and where
        ReturnToService is 2, the next start of its slurmd would put it in service. So a reboot is over once the node is
        drained again, and that is done here; only to nodes whose reason is still that of the reboot.
        """
        holds = dict(self._desk.look_for(asks))
        bare = [hold for hold in holds.values() if _lost_its_drain(hold)]
        by_reason: dict[str, list[str]] = {}
        for hold in bare:
            by_reason.setdefault(hold.node.reason, []).append(hold.node.name)
        for reason, names in by_reason.items():
            self._desk.controller.change(names, Change(state="drain", reason=reason))
        if bare:
            holds |= self._desk.look({hold.node.name for hold in bare})
        return self._desk.observe(asks, holds)

    def _reboot(self, names: Sequence[str], change: Change) -> Mapping[str, str | None]:
        """Writes it down first: the reason, which the reboot itself writes, tells whether it was asked for."""
        missed = self._desk.controller.change(names, Change(comment=change.comment))
        left = [name for name in names if name not in missed]
        assert change.reason is not None
        return {**missed, **(self._desk.controller.reboot(left, change.reason) if left else {})}

    def _reset(self, names: Sequence[str], change: Change) -> Mapping[str, str | None]:
        """Marks the nodes first: whoever asks again finds the mark, and cuts nobody's power twice. What becomes of it
        is seen by the node's time of boot, whatever the program says.
        """
        program = self._desk.controller.settings.reset_program
        assert program is not None
        missed = dict(self._desk.controller.change(names, change))
        for name in self._desk.find_marked([name for name, why in missed.items() if why is None], change):
            del missed[name]
        left = [name for name in names if name not in missed]
        if left:
            self._desk.controller.run_reset(program, left)
        return missed


def _may_touch(hold: Hold, op: Op) -> Answer | None:
    name = hold.node.name
    if not hold.is_ours:
        why = say_holder(hold.node) or f"{name} is not drained by us"
        return Denied(why=f"{op} is not done: {why}")
    if hold.node.is_busy:
        return Denied(why=f"{op} is not done: jobs are on {name}")
    if hold.node.reboots and op is Op.REBOOT:
        return Later(after=timedelta(minutes=2))
    return None


def _lost_its_drain(hold: Hold) -> bool:
    node = hold.node
    is_reboot = hold.tag is not None and hold.tag.op is Op.REBOOT
    return is_reboot and node.is_down and not node.is_drained and not node.reboots
