"""Single values as files write them: names, versions, times, zones. Each parser gives the value or None."""

import re
from datetime import UTC, date, datetime, time
from functools import cache
from importlib import resources

from fermata.domain.harmless import CONTROLS, HIDING
from fermata.domain.names import Names

NAME_LENGTH_MAX = 200
TEXT_LENGTH_MAX = 20_000
VERSION_LENGTH_MAX = 128
YEAR_MIN, YEAR_MAX = 2000, 2199  # outside, it is a typing error, and arithmetic on days would overflow
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

NAME_RULE = f"a name has 1 to {NAME_LENGTH_MAX} printable characters and no space at either end"
VERSION_RULE = f"a version has at most {VERSION_LENGTH_MAX} characters, none of them white space or a control character"
TEXT_RULE = f"one line of at most {TEXT_LENGTH_MAX} characters"
INSTANT_RULE = 'a time with its offset, such as "2026-01-31T19:00:00Z"'
DAY_RULE = 'a calendar day such as "2026-01-31"'
CLOCK_RULE = 'a time of day such as "19:00"'

_UNPRINTABLE = CONTROLS + HIDING
_NAME = re.compile(rf"(?!\s)[^{_UNPRINTABLE}]{{1,{NAME_LENGTH_MAX}}}(?<!\s)")
_VERSION = re.compile(rf"[^\s{_UNPRINTABLE}]{{0,{VERSION_LENGTH_MAX}}}")
_TEXT = re.compile(rf"[^{_UNPRINTABLE}]{{0,{TEXT_LENGTH_MAX}}}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def is_name(text: str) -> bool:
    """True for the name of anything: see NAME_RULE."""
    return _NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """True for a version; the empty one is unknown."""
    return _VERSION.fullmatch(text) is not None


def is_text(text: str) -> bool:
    """True for one line of free text, which may be empty."""
    return _TEXT.fullmatch(text) is not None


def parse_instant(text: str) -> datetime | None:
    """An aware time in UTC; None for any other form, a time without offset, or a year out of range."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        instant = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return instant if YEAR_MIN <= instant.year <= YEAR_MAX else None


def parse_day(text: str) -> date | None:
    """A calendar day; None for any other form or a year out of range."""
    if not _DAY.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if YEAR_MIN <= day.year <= YEAR_MAX else None


def parse_clock(text: str) -> time | None:
    """A wall time, naive on purpose: its zone and day are said elsewhere."""
    if not _CLOCK.fullmatch(text):
        return None
    try:
        return time.fromisoformat(text if text[1] != ":" else f"0{text}")
    except ValueError:
        return None


@cache
def time_zones() -> Names:
    """Every IANA zone and link name of the zone data that is installed with Fermata."""
    return Names(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())
