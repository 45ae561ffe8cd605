"""When windows may lie: the campaign's calendar days with their daily window, and the times closed to a cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fermata.domain.fleet import Cluster, Node
from fermata.domain.windows import Interval, days_between
from fermata.planning.encoding import Calendar, Closed

START_GRID_MINUTES = 30  # starts lie on this grid from the daily window's start: finer ones double the model


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


def find_days(calendar: Calendar, deadline: date) -> tuple[Day, ...]:
    """The days on which windows may lie at all, first to last."""
    assert calendar.room is not None, "a rule says when on a day windows may lie"
    days: list[Day] = []
    for day in days_between(calendar.first_day, calendar.last_day):
        room = calendar.room(day)
        if room.end <= calendar.not_before or day.weekday() not in calendar.weekdays:
            continue
        late = max(0, (day - deadline).days)
        days.append(Day(date=day, room=room, earliest=max(calendar.not_before, room.start), late=late))
    return tuple(days)


def find_closed(closed: Sequence[Closed], nodes: Sequence[Node], cluster: Cluster) -> tuple[str, ...]:
    """The names of the closed times that hold for any of `nodes`, all of `cluster`."""
    return tuple(c.name for c in closed if c.touches(nodes, cluster))
