"""How lengths of time, chances and facts are said, in sentences and on the board alike."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

NAMED_MAX = 4  # of a list; longer ones are counted


def span_words(length: timedelta) -> str:
    """22 min, 3 h 05, 2 d 4 h; the sign is dropped."""
    minutes = round(abs(length.total_seconds()) / 60)
    hours, rest = divmod(minutes, 60)
    if hours >= 24:
        days, hours = divmod(hours, 24)
        return f"{days} d {hours} h"
    return f"{hours} h {rest:02d}" if hours else f"{rest} min"


def chance_words(kept: float) -> str:
    """A probability as people say it; never certainty, which no simulation can give."""
    if kept > 0.99:
        return "over 99 %"
    return "under 1 %" if kept < 0.01 else f"{100 * kept:.0f} %"


def facts_words(facts: Mapping[str, Any]) -> str:
    """The plain facts of a line in the journal: `step verify, minutes 10`. Long lists are counted; what is nested is
    left to those who read JSON.
    """
    return ", ".join(f"{key.replace('_', ' ')} {text}" for key, value in facts.items() if (text := _fact_text(value)))


def _fact_text(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str() | int() | float():
            return str(value)
        case list() if value and all(isinstance(each, str) for each in value):
            return ", ".join(value) if len(value) <= NAMED_MAX else f"{len(value):,} of them"
        case _:
            return ""
