"""How a node comes back from an update that went wrong: roll back, roll forward only, or in-operable, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fermata.domain.fleet import Cluster
from fermata.domain.ids import NodeId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import NODE_TARGET, Catalogue, Rollback, Update
from fermata.domain.versions import is_at_least, is_newer


class Recovery(StrEnum):
    """What can be done about an update on a node."""

    ROLL_BACK = "roll_back"
    FORWARD_ONLY = "forward_only"
    INOPERABLE = "inoperable"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGood:
    """What a node ran when it was last proven and returned (or found in service), and what it ran before that."""

    versions: Mapping[str, str]
    before: Mapping[str, str]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryOption:
    """One update on one node. `to_version`: the last known good it would be rolled back to; "" unless that can be."""

    node: NodeId
    window: WindowId
    update: UpdateId
    option: Recovery
    to_version: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryOrder:
    """A roll-back that is to be done, or was begun. `to_version` "": nothing was written there, it is left out."""

    run: RunId
    window: WindowId
    unit: str
    update: UpdateId
    to_version: str
    actor: str
    why: str
    at: datetime


def find_option(
    update: Update, op: UnitOp, cluster: Cluster, last_good: LastGood | None, catalogue: Catalogue
) -> RecoveryOption:
    """What can be done about `update`, which was begun on the node of `op`."""
    option, version, why = _judge(update, op, cluster, last_good, catalogue)
    return RecoveryOption(
        node=NodeId(op.unit), window=op.window, update=update.id, option=option, to_version=version, reason=why
    )


def _judge(
    update: Update, op: UnitOp, cluster: Cluster, last_good: LastGood | None, catalogue: Catalogue
) -> tuple[Recovery, str, Reason]:
    told = {"update": update.id, "unit": op.unit}
    if update.target != NODE_TARGET:
        return Recovery.FORWARD_ONLY, "", reason(Code.RECOVERY_ON_DEVICE, **told)
    if update.rollback is Rollback.INOPERABLE:
        return Recovery.INOPERABLE, "", reason(Code.RECOVERY_NO_PATH, **told)
    if is_lost(op):
        return Recovery.INOPERABLE, "", reason(Code.RECOVERY_UNREACHABLE, **told)
    if update.rollback is Rollback.FORWARD_ONLY:
        return Recovery.FORWARD_ONLY, "", reason(Code.RECOVERY_FORWARD_ONLY, **told)
    version = last_good_before(update, last_good)
    if not version:
        return Recovery.FORWARD_ONLY, "", reason(Code.RECOVERY_NO_LAST_GOOD, component=update.component, **told)
    if not is_within_reach(update, version, cluster, catalogue):
        return Recovery.FORWARD_ONLY, "", reason(Code.RECOVERY_OUT_OF_REACH, version=version, **told)
    return Recovery.ROLL_BACK, version, reason(Code.RECOVERY_ROLL_BACK, version=version, **told)


def is_lost(op: UnitOp) -> bool:
    """True when the node did not come back: nothing can be written on it before it was repaired."""
    return op.state is UnitState.FAILED and op.reason is not None and op.reason.code is Code.NODE_UNREACHABLE


def last_good_before(update: Update, last_good: LastGood | None) -> str:
    """The last known good version of its component that is older than what it brings; "" when none is known."""
    if last_good is None:
        return ""
    for versions in (last_good.versions, last_good.before):
        version = versions.get(update.component, "")
        if version and is_newer(update.to_version, version):
            return version
    return ""


def is_within_reach(update: Update, version: str, cluster: Cluster, catalogue: Catalogue) -> bool:
    """True when the version is one that the update is made to start from, or that another update still brings."""
    if update.applies_to.covers(cluster, version):
        return True
    return any(
        other.component == update.component and other.target == update.target and other.to_version == version
        for other in catalogue.updates.values()
    )


def undo_order(updates: Mapping[UpdateId, Update]) -> tuple[Update, ...]:
    """The updates so that whatever builds on another comes before it: the reverse of how they were brought."""
    done: dict[UpdateId, Update] = {}

    def visit(update: Update) -> None:
        if update.id in done:
            return
        for other in updates.values():
            if other.id != update.id and builds_on(other, update):
                visit(other)
        done[update.id] = update

    for name in sorted(updates):
        visit(updates[name])
    return tuple(done.values())


def builds_on(later: Update, earlier: Update) -> bool:
    """True when `later` needs what `earlier` brings."""
    if earlier.id in later.after:
        return True
    return any(
        need.component == earlier.component and is_at_least(earlier.to_version, need.min_version)
        for need in later.requires
    )


def with_dependents(names: frozenset[UpdateId], updates: Mapping[UpdateId, Update]) -> frozenset[UpdateId]:
    """The named updates and every one of `updates` that builds on them."""
    found = {name for name in names if name in updates}
    grew = True
    while grew:
        more = {
            other.id
            for other in updates.values()
            if other.id not in found and any(builds_on(other, updates[name]) for name in found)
        }
        found |= more
        grew = bool(more)
    return frozenset(found)
