"""What pending work and work under way are called by clients of Azure: statuses, impacts, scopes. Pure."""

from collections.abc import Iterable
from enum import StrEnum

from fermata.domain.scheduled_events import EventStatus
from fermata.domain.updates import NODE_TARGET, Impact, Update

IMPACT_TYPES = {Impact.IMPACTLESS: "None", Impact.IMPACTFUL: "Freeze", Impact.REBOOTFUL: "Restart"}


class UpdateStatus(StrEnum):
    """Where work on a place stands."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    RETRY_LATER = "RetryLater"
    NOTHING = "NoUpdatesPending"
    CANCELLED = "Cancelled"


def maintenance_scope(update: Update) -> str:
    """Of the node itself, or of a device that it hangs on."""
    return "Host" if update.target == NODE_TARGET else "Resource"


def impact_seconds(update: Update) -> int:
    """What a workload feels: as stated, else the median of the work; nothing for an impactless update."""
    if update.impact is Impact.IMPACTLESS:
        return 0
    return update.impact_seconds if update.impact_seconds is not None else round(update.duration_minutes.p50 * 60)


def work_status(stays: Iterable[EventStatus], *, has_pending: bool, is_asked: bool) -> UpdateStatus:
    """Of everything on a place: work under way goes before what waits, a missing approval before a window to come."""
    found = set(stays)
    if EventStatus.STARTED in found:
        return UpdateStatus.IN_PROGRESS
    if has_pending:
        return UpdateStatus.RETRY_LATER if is_asked else UpdateStatus.PENDING
    return UpdateStatus.COMPLETED if EventStatus.COMPLETED in found else UpdateStatus.NOTHING
