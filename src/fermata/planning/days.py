"""When windows may lie: the campaign's calendar days with their daily window, and the freezes that touch a cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Cluster, Node
from fermata.domain.policy import Freeze
from fermata.domain.windows import Interval, day_interval, days_between

START_GRID_MINUTES = 30  # starts lie on this grid from the daily window's start: finer ones double the model
_SATURDAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One calendar day of the campaign's zone. `room` is its daily window, UTC; `late` counts days after the deadline.

    `earliest` is where starts may begin: later than the room's start only on the day the plan is made.
    """

    date: date
    room: Interval
    earliest: datetime
    late: int

    def starts(self, minutes: int) -> Iterator[int]:
        """Every start on the grid, in minutes from the room's start, from which `minutes` fit into the room."""
        offset = 0
        while offset + minutes <= self.minutes:
            if self.at(offset) >= self.earliest:
                yield offset
            offset += START_GRID_MINUTES

    @property
    def minutes(self) -> int:
        """The length of the room."""
        return (self.room.end - self.room.start) // timedelta(minutes=1)

    def at(self, offset: int) -> datetime:
        """The instant `offset` minutes after the room's start."""
        return self.room.start + timedelta(minutes=offset)


def find_days(campaign: Campaign, now: datetime) -> tuple[Day, ...]:
    """The days on which windows may lie at all, first to last; weekends only where they are staffed."""
    days: list[Day] = []
    hours = campaign.daily_window
    for day in days_between(campaign.first_day, campaign.extension_until):
        room = day_interval(day, hours.start, hours.back_in_service_by, campaign.timezone)
        if room.end <= now or (day.weekday() >= _SATURDAY and not campaign.weekends_staffed):
            continue
        late = max(0, (day - campaign.deadline).days)
        days.append(Day(date=day, room=room, earliest=max(now, room.start), late=late))
    return tuple(days)


def find_freezes(freezes: Sequence[Freeze], nodes: Sequence[Node], cluster: Cluster) -> tuple[Freeze, ...]:
    """The freezes that hold any of `nodes`, all of `cluster`."""
    return tuple(f for f in freezes if any(f.scope.covers(node, cluster) for node in nodes))
