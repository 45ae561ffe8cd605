"""Since when customers know of what is asked of them: what a promised notice counts from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.ids import CustomerId, SupercomputerId, UpdateId
from fermata.domain.updates import Impact

_GRAVITY = {impact: place for place, impact in enumerate(Impact)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """From `at` (UTC) on a customer knows of an update, or of a work order by its id, on a supercomputer, at that
    impact or a lesser one.
    """

    customer: CustomerId
    supercomputer: SupercomputerId
    update: UpdateId
    impact: Impact
    at: datetime


class NotifiedTimes:
    """Asked by item: since when a customer knows of it."""

    def __init__(self, notified: Iterable[Notified]) -> None:
        self._times: dict[tuple[CustomerId, SupercomputerId, UpdateId], list[tuple[int, datetime]]] = {}
        for each in notified:
            key = (each.customer, each.supercomputer, each.update)
            self._times.setdefault(key, []).append((_GRAVITY[each.impact], each.at))

    def since(
        self, customer: CustomerId, supercomputer: SupercomputerId, update: UpdateId, impact: Impact
    ) -> datetime | None:
        """When it was first told of at this impact or a graver one; None when it was not."""
        told = self._times.get((customer, supercomputer, update), ())
        return min((at for gravity, at in told if gravity >= _GRAVITY[impact]), default=None)
