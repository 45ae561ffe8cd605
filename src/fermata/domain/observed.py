"""What came of a plan so far, as a person or the store tells it: the input of a re-plan beside the plan itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from fermata.domain.fleet import Fleet
from fermata.domain.ids import NodeId, UpdateId, WindowId
from fermata.domain.policy import Scope
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import Catalogue, Duration, StepDefaults


class Fate(StrEnum):
    """What became of a window. Missed and cancelled ones took no node: what they were for is planned again."""

    DONE = "done"
    RUNNING = "running"
    MISSED = "missed"
    CANCELLED = "cancelled"


RAN = frozenset({Fate.DONE, Fate.RUNNING})


@dataclass(frozen=True, slots=True, kw_only=True)
class TailNode:
    """A node that is not back though its window is over, and why. Work on it goes on; it is not planned again."""

    node: NodeId
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSeen:
    """One window of the plan. `again`: its nodes that it did not service, so that they are planned again.

    Every other node of a window that ran is back with what it was taken for, in the tail, or being worked on.
    `started_at`, `ended_at`: UTC, when it really did; None when nobody told.
    """

    window: WindowId
    fate: Fate
    started_at: datetime | None = None
    ended_at: datetime | None = None
    tail: tuple[TailNode, ...] = ()
    again: tuple[NodeId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Part of the fleet that leaves the campaign, and why: nothing of it that has not begun is planned."""

    scope: Scope
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """How many times longer than the catalogue says work takes: one update, or with `overall` every step."""

    overall: float = 1.0
    updates: Mapping[UpdateId, float] = field(default_factory=dict, hash=False)

    def of_update(self, update: UpdateId) -> float:
        """The factor of one update; its own wins over the overall one."""
        return self.updates.get(update, self.overall)


AS_CATALOGUED = Stretch()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything observed up to the moment that a re-plan is made for.

    `as_planned`: windows that have begun and are not listed ran as planned; without it they must all be listed.
    `repaired`: nodes that came back from repair without having been serviced, so that they are planned again.
    `in_inventory`: the inventory was taken after all of it, so that what it says is still due on a shared device is.
    """

    windows: tuple[WindowSeen, ...] = ()
    as_planned: bool = False
    withdrawn: tuple[Withdrawal, ...] = ()
    stretch: Stretch = AS_CATALOGUED
    repaired: tuple[NodeId, ...] = ()
    in_inventory: bool = False


NOTHING_SEEN = Observed()


def withdrawn_nodes(fleet: Fleet, observed: Observed | None) -> Mapping[NodeId, Reason]:
    """Every node that left the campaign, with the reason; the first withdrawal that covers it counts."""
    found: dict[NodeId, Reason] = {}
    for withdrawal in observed.withdrawn if observed is not None else ():
        why = reason(Code.WITHDRAWN, scope=withdrawal.scope, why=withdrawal.why)
        for node in fleet.nodes.values():
            if withdrawal.scope.covers(node, fleet.clusters[node.cluster]):
                found.setdefault(node.name, why)
    return found


def stretch_catalogue(catalogue: Catalogue, stretch: Stretch) -> Catalogue:
    """The catalogue with durations as long as they were seen to be. Drain, reboot and verify follow `overall`."""
    if stretch == AS_CATALOGUED:
        return catalogue
    defaults = catalogue.defaults
    return replace(
        catalogue,
        defaults=StepDefaults(
            drain_minutes=_stretch(defaults.drain_minutes, stretch.overall),
            reboot_minutes=_stretch(defaults.reboot_minutes, stretch.overall),
            verify_minutes=_stretch(defaults.verify_minutes, stretch.overall),
        ),
        updates={
            name: replace(update, duration_minutes=_stretch(update.duration_minutes, stretch.of_update(name)))
            for name, update in catalogue.updates.items()
        },
    )


def _stretch(duration: Duration, factor: float) -> Duration:
    return Duration(p50=duration.p50 * factor, p90=duration.p90 * factor)
