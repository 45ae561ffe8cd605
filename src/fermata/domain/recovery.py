"""How a node or a shared device comes back from an update that went wrong: roll back, roll forward only, or
in-operable, and why; and what goes back together.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from fermata.domain.fleet import Cluster
from fermata.domain.ids import DeviceId, NodeId, RunId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import Catalogue, Rollback, Update
from fermata.domain.versions import is_at_least, is_newer

Pair = tuple[str, UpdateId]  # a unit of a window, and an update on it


class Recovery(StrEnum):
    """What can be done about an update on a unit."""

    ROLL_BACK = "roll_back"
    FORWARD_ONLY = "forward_only"
    INOPERABLE = "inoperable"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastGood:
    """What a node ran when it was last proven and returned (or found in service), and what it ran before that. Of a
    device: when it was last proven, or found in use.
    """

    versions: Mapping[str, str]
    before: Mapping[str, str]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryOption:
    """One update on one unit. `to_version`: the last known good it would be rolled back to; "" unless that can be."""

    unit: str
    kind: UnitKind
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
    update: Update,
    op: UnitOp,
    cluster: Cluster,
    last_good: LastGood | None,
    catalogue: Catalogue,
    *,
    beyond: tuple[NodeId, ...] = (),
) -> RecoveryOption:
    """What can be done about `update`, which was begun on the unit of `op`. `beyond`: of a device, nodes behind it that
    its window does not have.
    """
    option, version, why = _judge(update, op, cluster, last_good, catalogue)
    if option is Recovery.ROLL_BACK and update.needs_drain and beyond:
        told = {"update": update.id, "unit": op.unit, "nodes": len(beyond), "example": beyond[0]}
        option, version, why = Recovery.FORWARD_ONLY, "", reason(Code.RECOVERY_NOT_EMPTIED, **told)
    return RecoveryOption(
        unit=op.unit, kind=op.kind, window=op.window, update=update.id, option=option, to_version=version, reason=why
    )


def _judge(
    update: Update, op: UnitOp, cluster: Cluster, last_good: LastGood | None, catalogue: Catalogue
) -> tuple[Recovery, str, Reason]:
    told = {"update": update.id, "unit": op.unit}
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
    """True when the unit did not come back: nothing can be written on it before it was repaired."""
    return op.state is UnitState.FAILED and op.reason is not None and op.reason.code is Code.NODE_UNREACHABLE


def is_taken(op: UnitOp | None) -> bool:
    """True of a node that a window took, or had, by its row there; a device may be emptied of such nodes alone."""
    return op is not None and op.state is not UnitState.LEFT_OUT


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


@dataclass(frozen=True, kw_only=True)
class Web:
    """Units of one window, as far as updates on one may build on those of another. `updates`: of each unit, those that
    are looked at. `behind`: the nodes behind each device.
    """

    updates: Mapping[str, Mapping[UpdateId, Update]]
    behind: Mapping[DeviceId, tuple[NodeId, ...]]

    @cached_property
    def near(self) -> Mapping[str, frozenset[str]]:
        """Of a node, the devices that it hangs on; of a device, the nodes behind it and all that they hang on."""
        found: dict[str, set[str]] = {unit: set() for unit in self.updates}
        for device, nodes in self.behind.items():
            for node in nodes:
                found.setdefault(node, set()).add(device)
        for device, nodes in self.behind.items():
            found.setdefault(device, set()).update(nodes, *(found[node] for node in nodes))
        return {unit: frozenset(others - {unit}) for unit, others in found.items()}

    @cached_property
    def _later(self) -> Mapping[UpdateId, tuple[UpdateId, ...]]:
        known = {name: update for updates in self.updates.values() for name, update in updates.items()}
        return {
            name: tuple(o.id for o in known.values() if o.id != name and builds_on(o, update))
            for name, update in known.items()
        }

    def later(self, pair: Pair) -> Iterator[Pair]:
        """What builds on it: on the unit itself and on those near."""
        unit, update = pair
        for name in self._later.get(update, ()):
            for other in (unit, *sorted(self.near.get(unit, ()))):
                if name in self.updates.get(other, ()):
                    yield other, name


def spread(chosen: Iterable[Pair], web: Web) -> frozenset[Pair]:
    """The chosen ones and all that builds on them, however far."""
    found = set(chosen)
    queue = sorted(found)
    while queue:
        fresh = [pair for pair in web.later(queue.pop()) if pair not in found]
        found.update(fresh)
        queue += fresh
    return frozenset(found)


def hold_under(options: Mapping[Pair, RecoveryOption], web: Web) -> dict[Pair, RecoveryOption]:
    """The same, but nothing is rolled back under an update that builds on it and stays."""
    found = dict(options)
    grew = True
    while grew:
        grew = False
        for pair, option in found.items():
            if option.option is not Recovery.ROLL_BACK:
                continue
            stays = next((o for o in web.later(pair) if o in found and found[o].option is not Recovery.ROLL_BACK), None)
            if stays is None:
                continue
            why = reason(Code.RECOVERY_HELD_UNDER, update=pair[1], unit=pair[0], other=stays[1], place=stays[0])
            found[pair] = replace(option, option=Recovery.FORWARD_ONLY, to_version="", reason=why)
            grew = True
    return found
