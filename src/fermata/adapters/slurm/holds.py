"""Whose a node is, and how far a step on it is: read from what Slurm tells of it, and from nothing else. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fermata.adapters.slurm.nodes import SlurmNode
from fermata.adapters.slurm.tags import Entry, Mark, Op, Tag, Trail, read_comment, read_reason, to_key
from fermata.domain.ids import StepKey
from fermata.domain.observations import Failed, NeverAsked, Progress, Running, Succeeded

SOON = timedelta(seconds=30)
ANSWERS_WITHIN = timedelta(minutes=1)  # a node that is resumed counts as not responding until slurmctld has asked it
REBOOTED, TIMED_OUT = "reboot complete", "reboot timed out"  # what slurmctld writes behind the reason
_NOBODYS = ("not responding", "node unexpectedly rebooted", "")  # reasons that slurmctld gives by itself, or none


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One node with what we wrote there. `tag` None: its reason is not of ours."""

    node: SlurmNode
    tag: Tag | None
    trail: Trail

    @property
    def is_ours(self) -> bool:
        """Nothing can begin on it, by our word."""
        return self.tag is not None and self.node.takes_nothing

    def knows(self, template: str) -> bool:
        """True when this step was asked: Slurm shows it as the last, or as one before the last."""
        if self.tag is not None and self.tag.template == template:
            return True
        entry = self.trail.find(template)
        return entry is not None and not (entry.mark is Mark.ASKED and self.is_ours)


def read_hold(owner: str, node: SlurmNode) -> Hold:
    """What the node says."""
    return Hold(node=node, tag=read_reason(owner, node.reason), trail=read_comment(owner, node.comment))


def index_keys(holds: Iterable[Hold]) -> Mapping[StepKey, tuple[Hold, str]]:
    """By key of a step: the node that tells of it, and its template there."""
    found: dict[StepKey, tuple[Hold, str]] = {}
    for hold in holds:
        templates = [entry.template for entry in hold.trail.entries]
        if hold.tag is not None:
            templates.append(hold.tag.template)
        for template in templates:
            found[to_key(template, hold.node.name)] = hold, template
    return found


def say_holder(node: SlurmNode) -> str | None:
    """Whose hold is on a node that is not ours, and why; None: nobody's. A node that slurmctld itself took down, since
    it did not answer, is nobody's.
    """
    if not node.takes_nothing:
        return None
    if not node.is_drained and node.reason.lower().startswith(_NOBODYS[:2]):
        return None
    if not node.is_drained and not node.reason:
        return None
    who = node.reason_by or "somebody"
    when = f" since {node.reason_at:%Y-%m-%d %H:%MZ}" if node.reason_at is not None else ""
    what = "drained" if node.is_drained else "down"
    return f"{node.name} is {what} by {who}{when}: {node.reason or 'no reason given'}"


def judge(hold: Hold, template: str, now: datetime, *, reset_limit: timedelta, reserved: Collection[str]) -> Progress:
    """How far a step is. `reserved`: nodes in a reservation of ours."""
    entry = hold.trail.find(template)
    is_open = hold.is_ours or entry is None or entry.mark is Mark.ASKED  # 24.11 may leave a reason on a resumed node
    if hold.tag is not None and hold.tag.template == template and is_open:
        return _judge_current(hold, hold.tag, entry, now, reset_limit)
    if entry is None:
        return NeverAsked()
    at = min(entry.at, now)
    match entry.mark:
        case Mark.DONE:
            return Succeeded(at=at)
        case Mark.FAILED:
            return Failed(at=at, why=f"{entry.op} on {hold.node.name} failed before its next step was asked")
        case Mark.OVERTAKEN:
            return Failed(at=at, why=f"{entry.op} on {hold.node.name} was ended by its next step")
        case Mark.ASKED:
            return _judge_asked(hold, entry, at, now, reserved)


def settle(trail: Trail, progress: Progress) -> Trail:
    """The trail, with what came of its last step: another is about to be asked."""
    match progress:
        case Succeeded():
            return trail.judged(Mark.DONE)
        case Failed():
            return trail.judged(Mark.FAILED)
        case Running():
            return trail.judged(Mark.OVERTAKEN)
        case NeverAsked():
            return replace(trail, entries=trail.entries[:-1])


def _judge_asked(hold: Hold, entry: Entry, at: datetime, now: datetime, reserved: Collection[str]) -> Progress:
    """A step that is written down as the last, while the reason tells another, or nothing of ours."""
    if hold.is_ours:
        return NeverAsked()  # written down, and not carried out
    if entry.op not in (Op.GIVE_BACK, Op.RELEASE):
        return Failed(at=now, why=f"{hold.node.name} was put back by somebody before {entry.op} had ended")
    if hold.node.name in reserved:
        return NeverAsked()
    if entry.op is Op.GIVE_BACK and "NOT_RESPONDING" in hold.node.states and now < at + ANSWERS_WITHIN:
        return Running(check_again_at=min(at + ANSWERS_WITHIN, now + SOON))
    return Succeeded(at=at)


def _judge_current(hold: Hold, tag: Tag, entry: Entry | None, now: datetime, reset_limit: timedelta) -> Progress:
    node = hold.node
    asked_at = entry.at if entry is not None else node.reason_at or now
    if not node.takes_nothing:
        return Failed(at=now, why=f"{node.name} was put back by somebody before {tag.op} had ended")
    match tag.op:
        case Op.LOCK:
            return Succeeded(at=min(asked_at, now))
        case Op.DRAIN:
            since = max(asked_at, node.last_busy_at or asked_at)
            return Running() if node.is_busy else Succeeded(at=min(since, now))
        case Op.REBOOT:
            return _judge_reboot(node, tag, asked_at, now)
        case Op.RESET:
            return _judge_reset(node, asked_at, now, reset_limit)
        case Op.GIVE_BACK | Op.RELEASE:
            return NeverAsked()  # none of them leaves a reason of ours


def _judge_reboot(node: SlurmNode, tag: Tag, asked_at: datetime, now: datetime) -> Progress:
    said = tag.rest.lower()
    if TIMED_OUT in said:
        return Failed(at=min(node.reason_at or now, now), why=f"{node.name} did not come back: {node.reason}")
    if node.reboots or not node.is_reachable:
        return Running()
    booted = node.booted_at is not None and node.booted_at >= asked_at
    if REBOOTED in said or booted:
        if not node.is_drained:
            return Running(check_again_at=now + SOON)  # down only: see `SlurmPower.observe`
        ended = max(time for time in (asked_at, node.booted_at, node.started_at) if time is not None)
        return Succeeded(at=min(ended, now))
    return Failed(at=now, why=f"the reboot of {node.name} is not asked for in Slurm any more: somebody cancelled it")


def _judge_reset(node: SlurmNode, asked_at: datetime, now: datetime, limit: timedelta) -> Progress:
    if node.booted_at is not None and node.booted_at >= asked_at and node.is_reachable:
        ended = max(time for time in (asked_at, node.booted_at, node.started_at) if time is not None)
        return Succeeded(at=min(ended, now))
    if now >= asked_at + limit:
        minutes = limit // timedelta(minutes=1)
        return Failed(at=now, why=f"{node.name} has not booted within {minutes} minutes after its reset")
    return Running(check_again_at=min(asked_at + limit, now + SOON * 2))
