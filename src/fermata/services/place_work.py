"""What is pending on one place, and how far work there came: read from the picture, for doors that ask by place."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.fleet import Node
from fermata.domain.ids import RequestId, UpdateId
from fermata.domain.maintenance_words import UpdateStatus, work_status
from fermata.domain.requests import request_id
from fermata.domain.scheduled_events import EventStatus
from fermata.domain.updates import Update
from fermata.services.maintenance import Picture, PlannedStay
from fermata.services.places import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceUpdate:
    """One update pending on so many nodes of a place, or on devices behind which they stand."""

    update: Update
    nodes: int
    due_at: datetime
    status: UpdateStatus
    request: RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceState:
    """Where all work on a place stands. `asked` counts the nodes whose approval is missing, `held` those that their
    customer took back or a policy keeps off; `changed_at` is when a window last opened or closed there. `plan` has the
    next window, or the last one.
    """

    status: UpdateStatus
    updates: tuple[UpdateId, ...]
    asked: int
    held: int
    changed_at: datetime | None
    plan: str | None


def list_updates(picture: Picture, place: Place) -> tuple[PlaceUpdate, ...]:
    """By id."""
    policy = picture.settled.policy
    if policy is None:
        return ()
    nodes: dict[UpdateId, int] = {}
    updates: dict[UpdateId, Update] = {}
    running: set[UpdateId] = set()
    for node in place.nodes:
        started = set(_started(picture, node))
        for update in picture.settled.updates_of(node):
            updates[update.id] = update
            nodes[update.id] = nodes.get(update.id, 0) + 1
            if update.id in started:
                running.add(update.id)
    return tuple(
        PlaceUpdate(
            update=updates[name],
            nodes=nodes[name],
            due_at=policy.due_at(updates[name]),
            status=UpdateStatus.IN_PROGRESS if name in running else UpdateStatus.PENDING,
            request=request_id(place.group.supercomputer),
        )
        for name in sorted(updates)
    )


def state_of(picture: Picture, place: Place) -> PlaceState:
    """Of everything on the place."""
    outlooks = [picture.outlook(node.name) for node in place.nodes]
    updates = sorted({update.id for node in place.nodes for update in picture.settled.updates_of(node)})
    asked = sum(1 for outlook in outlooks if outlook.question is not None and outlook.question.is_open)
    held = sum(1 for outlook in outlooks if outlook.is_held)
    windows = windows_of(picture, place)
    runs = [planned.run for planned in windows if planned.run is not None]
    ahead = [planned for planned in windows if planned.run is None or planned.run.closed_at is None]
    times = [at for run in runs for at in (run.opened_at, run.closed_at) if at is not None]
    return PlaceState(
        status=work_status(
            (stay.status for outlook in outlooks for stay in outlook.stays),
            has_pending=bool(updates),
            is_asked=bool(asked or held),
        ),
        updates=tuple(updates),
        asked=asked,
        held=held,
        changed_at=max(times, default=None),
        plan=next((planned.plan for planned in (*ahead, *reversed(windows))), None),
    )


def windows_of(picture: Picture, place: Place) -> tuple[PlannedStay, ...]:
    """Every window that takes a node of the place, by start."""
    found = {
        (planned.plan, planned.window.id): planned
        for node in place.nodes
        for planned in picture.settled.windows.get(node.name, ())
    }
    return tuple(sorted(found.values(), key=lambda planned: (planned.window.start, planned.window.id)))


def _started(picture: Picture, node: Node) -> Iterator[UpdateId]:
    stays = picture.outlook(node.name).stays
    planned: Iterable[PlannedStay] = picture.settled.windows.get(node.name, ())
    for stay, window in zip(stays, planned, strict=True):
        if stay.status is EventStatus.STARTED:
            yield from window.window.updates
