"""How a plan differs from the one that it follows, window by window, with the cause of each difference."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from fermata.domain.ids import ClusterId, NodeId, PlanId, WindowId
from fermata.domain.plans import Plan, Window
from fermata.domain.reasons import Reason


class Change(StrEnum):
    """What became of published windows. A changed one starts when it did, with other nodes, steps or another end."""

    MOVED = "moved"
    CHANGED = "changed"
    SPLIT = "split"
    MERGED = "merged"
    DROPPED = "dropped"
    ADDED = "added"


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowChange:
    """Windows of the parent (`was`) and those (`now`) that take their nodes instead, both by start; either may be
    none, not both.
    """

    change: Change
    cluster: ClusterId
    was: tuple[Window, ...]
    now: tuple[Window, ...]
    cause: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDiff:
    """`ran` and `kept` are windows that stand as the parent had them, `changes` all others, by time."""

    parent: PlanId
    ran: tuple[WindowId, ...]
    kept: tuple[WindowId, ...]
    changes: tuple[WindowChange, ...]


Cause = Callable[[Change, tuple[Window, ...], tuple[Window, ...]], Reason]


def diff_plans(parent: Plan, plan: Plan, *, ran: Collection[WindowId], cause_of: Cause) -> PlanDiff:
    """Every difference once. `ran`: windows of the parent that took nodes; what one of them left is new elsewhere."""
    stands = {window.id: window for window in plan.windows}
    kept = tuple(w.id for w in parent.windows if w.id not in ran and stands.get(w.id) == w)
    old = [w for w in parent.windows if w.id not in ran and w.id not in kept]
    new = [w for w in plan.windows if w.id not in kept and w.id not in ran]
    changes: list[WindowChange] = []
    for was, now in _join(old, new):
        change = _name_change(was, now)
        cluster = (*was, *now)[0].cluster
        changes.append(WindowChange(change=change, cluster=cluster, was=was, now=now, cause=cause_of(change, was, now)))
    changes.sort(key=lambda change: ((*change.was, *change.now)[0].start, change.cluster))
    return PlanDiff(
        parent=parent.id, ran=tuple(w.id for w in parent.windows if w.id in ran), kept=kept, changes=tuple(changes)
    )


def _name_change(was: tuple[Window, ...], now: tuple[Window, ...]) -> Change:
    match len(was), len(now):
        case 0, _:
            return Change.ADDED
        case _, 0:
            return Change.DROPPED
        case 1, 1:
            return Change.CHANGED if was[0].start == now[0].start else Change.MOVED
        case _, 1:
            return Change.MERGED
        case _:
            return Change.SPLIT


def _join(old: list[Window], new: list[Window]) -> list[tuple[tuple[Window, ...], tuple[Window, ...]]]:
    """Windows that share nodes, over any chain, go together: both sides by start."""
    groups: list[tuple[set[NodeId], list[Window], list[Window]]] = []
    for side, windows in ((1, old), (2, new)):
        for window in windows:
            nodes = set(window.nodes)
            touched = [group for group in groups if not group[0].isdisjoint(nodes)]
            joined: tuple[set[NodeId], list[Window], list[Window]] = (nodes, [], [])
            for group in touched:
                joined[0].update(group[0])
                joined[1].extend(group[1])
                joined[2].extend(group[2])
                groups.remove(group)
            joined[side].append(window)  # type: ignore[union-attr]
            groups.append(joined)
    return [(_by_start(was), _by_start(now)) for _, was, now in groups]


def _by_start(windows: list[Window]) -> tuple[Window, ...]:
    return tuple(sorted(windows, key=lambda window: (window.start, window.id)))
