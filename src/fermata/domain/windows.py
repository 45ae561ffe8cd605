"""The only time-zone arithmetic: calendar days and local times to half-open UTC intervals."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """`[start, end)` in aware UTC. Raises ValueError for naive times or an end before the start."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("an interval needs aware datetimes")
        if self.end < self.start:
            raise ValueError(f"an interval cannot end ({self.end}) before it starts ({self.start})")

    def overlaps(self, other: "Interval") -> bool:
        """True when both share an instant; touching ends do not."""
        return self.start < other.end and other.start < self.end


def local_to_utc(day: date, at: time, zone: str) -> datetime:
    """The UTC instant of a local wall time. A skipped hour moves forward; a repeated hour is the first one."""
    tz = ZoneInfo(zone)
    wall = datetime.combine(day, at, tzinfo=tz).replace(fold=0)
    return wall.astimezone(UTC).astimezone(tz).astimezone(UTC)


def day_interval(day: date, start: time, end: time, zone: str) -> Interval:
    """The UTC interval between two wall times of one calendar day; `end` at or before `start` means the next day."""
    last = day + ONE_DAY if end <= start else day
    return Interval(local_to_utc(day, start, zone), local_to_utc(last, end, zone))


def calendar_day(instant: datetime, zone: str) -> date:
    """The calendar day of `instant` in `zone`."""
    return instant.astimezone(ZoneInfo(zone)).date()


def days_between(first: date, last: date) -> Iterator[date]:
    """Every calendar day from `first` to `last`, both included."""
    day = first
    while day <= last:
        yield day
        day += ONE_DAY
