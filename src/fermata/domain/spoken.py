"""How times, lengths of time, chances and forecasts are said: by the board, the terminal and every message alike."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from fermata.domain.forecasts import Forecast


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


def nodes(value: int) -> str:
    """1 node, 18,474 nodes."""
    return f"{value:,} node{'' if value == 1 else 's'}"


def clock(instant: datetime, zone: str) -> str:
    """14:05, on the campaign's clock."""
    return instant.astimezone(ZoneInfo(zone)).strftime("%H:%M")


def moment(instant: datetime, zone: str) -> str:
    """Sat 3 Jan 14:05, on the campaign's clock."""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{day(local.date())} {local:%H:%M}"


def day(value: date) -> str:
    """Sat 3 Jan."""
    return f"{value:%a} {value.day} {value:%b}"


def zone_name(instant: datetime, zone: str) -> str:
    """PST."""
    return instant.astimezone(ZoneInfo(zone)).tzname() or zone


def foretold(made: Forecast | None, zone: str) -> str:
    """When enough is back, how late that may become, and how sure the promise is; empty before the first forecast."""
    if made is None:
        return ""
    if made.enough is None or made.kept is None:
        return f"no forecast: {made.none.sentence}" if made.none else ""
    if made.enough.bound <= made.at:
        return f"{100 * made.enough.share:.0f} % back since {clock(made.enough.median, zone)}"
    middle, bound, promised = (clock(t, zone) for t in (made.enough.median, made.enough.bound, made.promised))
    kept = chance_words(made.kept)
    return f"{100 * made.enough.share:.0f} % back about {middle}, 9 in 10 by {bound}; back by {promised} with {kept}"


def needs_you(made: Forecast | None) -> list[str]:
    """What would help a promise that is at risk, best first; empty while it is not."""
    if made is None or not made.is_alarming:
        return []
    helps = [f"{chance_words(one.kept)} if you {one.sentence}" for one in made.helps]
    return helps or ["The promise is at risk, and nothing that was tried would help."]
