"""Windows that come again, in the words of Azure's maintenance configurations: `Day`, `2Weeks Saturday,Sunday`,
`Month day1,day15`, `3Months Last Sunday Offset-3`. Local wall times of one zone; `windows` turns them into UTC.
"""

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from fermata.domain.windows import ONE_DAY, Interval, local_to_utc

WEEKDAYS = tuple(calendar.day_name)  # Monday is 0
ORDINALS: Mapping[str, int] = {"First": 1, "Second": 2, "Third": 3, "Fourth": 4, "Last": -1}
OFFSET_DAYS_MAX = 6
EVERY_MAX = 365  # days, weeks or months between two times
MONTHS_A_YEAR = 12


class BadRecurrence(ValueError):
    """Words that say no recurrence; the message says what would."""


class Unit(StrEnum):
    """What a recurrence counts."""

    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyWeekday:
    """The `ordinal`th (1 to 4, or -1 for the last) such weekday of a month, moved by so many days."""

    ordinal: int
    weekday: int
    offset_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """Every so many days, weeks or months. `weekdays` (0 is Monday) with weeks; `month_days` or `by_weekday` with
    months; where they are missing, the weekday or the day of the month of the first day counts. Weeks begin on Monday.
    A month without that day has no such time.
    """

    unit: Unit
    every: int = 1
    weekdays: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    by_weekday: MonthlyWeekday | None = None

    def dates(self, first: date, until: date) -> Iterator[date]:
        """The days from `first` on, before `until`; `first` itself only when the words say so."""
        return (day for day in self._candidates(first, until) if first <= day < until)

    def _candidates(self, first: date, until: date) -> Iterator[date]:
        match self.unit:
            case Unit.DAY:
                yield from (first + i * ONE_DAY for i in range(0, max(0, (until - first).days), self.every))
            case Unit.WEEK:
                monday = first - first.weekday() * ONE_DAY
                for start in range(0, (until - monday).days, 7 * self.every):
                    yield from (monday + (start + day) * ONE_DAY for day in self.weekdays or (first.weekday(),))
            case Unit.MONTH:
                # An offset moves days over the ends of a month: one more on both sides.
                months = (until.year - first.year) * MONTHS_A_YEAR + until.month - first.month + 1
                for number in range(-self.every, months + 1, self.every):
                    yield from self._of_month(first, number)

    def _of_month(self, first: date, number: int) -> Iterator[date]:
        years, month = divmod(first.month - 1 + number, MONTHS_A_YEAR)
        year, month = first.year + years, month + 1
        if not date.min.year < year < date.max.year:
            return
        length = calendar.monthrange(year, month)[1]
        if self.by_weekday is not None:
            yield _find_weekday(year, month, length, self.by_weekday)
            return
        yield from (date(year, month, day) for day in self.month_days or (first.day,) if day <= length)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurringWindow:
    """Hours in which work is allowed: from `start` (a wall time of `zone`, an IANA name) for `duration`, again by
    `recurrence` (None: once), with no start at or after `expires` (wall time; None: for ever).

    A skipped wall time moves forward, of a repeated one the first counts. The duration is elapsed time.
    """

    id: str
    start: datetime
    duration: timedelta
    zone: str
    recurrence: Recurrence | None = None
    expires: datetime | None = None

    def intervals(self, first: datetime, until: datetime) -> Iterator[Interval]:
        """Those that share an instant with `[first, until)` (UTC), in order; each is given whole."""
        for day in self._days(until.date() + 2 * ONE_DAY):
            wall = datetime.combine(day, self.start.time())
            if self.expires is not None and wall >= self.expires:
                return
            start = local_to_utc(day, self.start.time(), self.zone)
            if start >= until:
                return
            if start + self.duration > first:
                yield Interval(start, start + self.duration)

    def _days(self, until: date) -> Iterator[date]:
        first = self.start.date()
        return iter((first,)) if self.recurrence is None else iter(sorted(set(self.recurrence.dates(first, until))))


def _find_weekday(year: int, month: int, length: int, wanted: MonthlyWeekday) -> date:
    if wanted.ordinal > 0:
        start = date(year, month, 1)
        ahead = (wanted.weekday - start.weekday()) % 7 + 7 * (wanted.ordinal - 1)
        found = start + ahead * ONE_DAY
    else:
        end = date(year, month, length)
        found = end - (end.weekday() - wanted.weekday) % 7 * ONE_DAY
    return found + wanted.offset_days * ONE_DAY


_WORDS = re.compile(r"(?P<every>\d*)(?P<unit>Day|Week|Month)s?(?:\s+(?P<rest>.+))?", re.IGNORECASE)
_NTH = re.compile(r"(?P<ordinal>\w+)\s+(?P<weekday>\w+)(?:\s+Offset(?P<offset>[+-]?\d))?", re.IGNORECASE)
RULE = (
    "Day, Week or Month, with a number before it (3Days) and, after it, weekdays (Week Saturday,Sunday), days"
    " (Month day1,day15) or one weekday of the month (Month Last Sunday, Month Third Sunday Offset-2)"
)


def parse_recurrence(words: str) -> Recurrence:
    """The recurrence that the words say, whatever their case. Raises BadRecurrence."""
    found = _WORDS.fullmatch(words.strip())
    if found is None:
        raise BadRecurrence(f"it must be {RULE}")
    every = int(found["every"] or 1)
    if not 1 <= every <= EVERY_MAX:
        raise BadRecurrence(f"the number before {found['unit']} must be from 1 to {EVERY_MAX}")
    unit = Unit(found["unit"].capitalize())
    rest = (found["rest"] or "").strip()
    if not rest:
        return Recurrence(unit=unit, every=every)
    match unit:
        case Unit.DAY:
            raise BadRecurrence("nothing may follow Day")
        case Unit.WEEK:
            days = sorted({_weekday(word) for word in rest.split(",")})
            return Recurrence(unit=unit, every=every, weekdays=tuple(days))
        case Unit.MONTH:
            return _parse_month(every, rest)


def _parse_month(every: int, rest: str) -> Recurrence:
    nth = _NTH.fullmatch(rest)
    if nth is None:
        days = sorted({_month_day(word) for word in rest.split(",")})
        return Recurrence(unit=Unit.MONTH, every=every, month_days=tuple(days))
    ordinal = ORDINALS.get(nth["ordinal"].capitalize())
    if ordinal is None:
        raise BadRecurrence(f"{nth['ordinal']} must be one of {', '.join(ORDINALS)}")
    offset = int(nth["offset"] or 0)
    if abs(offset) > OFFSET_DAYS_MAX:
        raise BadRecurrence(f"an offset is from -{OFFSET_DAYS_MAX} to {OFFSET_DAYS_MAX} days")
    weekday = MonthlyWeekday(ordinal=ordinal, weekday=_weekday(nth["weekday"]), offset_days=offset)
    return Recurrence(unit=Unit.MONTH, every=every, by_weekday=weekday)


def _weekday(word: str) -> int:
    name = word.strip().capitalize()
    if name not in WEEKDAYS:
        raise BadRecurrence(f"{word.strip() or 'nothing'} is no weekday: write it in full, such as Saturday")
    return WEEKDAYS.index(name)


def _month_day(word: str) -> int:
    found = re.fullmatch(r"day\s*(\d{1,2})", word.strip(), re.IGNORECASE)
    if found is None or not 1 <= int(found[1]) <= 31:
        raise BadRecurrence(f"{word.strip() or 'nothing'} is no day of a month: write day1 to day31")
    return int(found[1])


def say_recurrence(recurrence: Recurrence | None) -> str:
    """The words that `parse_recurrence` reads; "once" for None."""
    if recurrence is None:
        return "once"
    head = str(recurrence.unit) if recurrence.every == 1 else f"{recurrence.every}{recurrence.unit}s"
    if recurrence.weekdays:
        return f"{head} {','.join(WEEKDAYS[day] for day in recurrence.weekdays)}"
    if recurrence.month_days:
        return f"{head} {','.join(f'day{day}' for day in recurrence.month_days)}"
    if recurrence.by_weekday is not None:
        nth = recurrence.by_weekday
        ordinal = next(word for word, number in ORDINALS.items() if number == nth.ordinal)
        offset = f" Offset{nth.offset_days}" if nth.offset_days else ""
        return f"{head} {ordinal} {WEEKDAYS[nth.weekday]}{offset}"
    return head
