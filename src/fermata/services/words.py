"""How lengths of time are said, in sentences and on the board alike."""

from datetime import timedelta


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
