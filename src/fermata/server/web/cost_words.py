"""How the page of requests says what an approval would cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from fermata.domain.request_costs import Cost
from fermata.domain.windows import calendar_day
from fermata.server.web import words
from fermata.services.words import span_words

MINUTES_OF_HOUR = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class DayShare:
    """What windows of one calendar day take of what was chosen: out over `[start, end)`, UTC."""

    day: date
    windows: int
    nodes: int
    start: datetime
    end: datetime


def outage(cost: Cost) -> str:
    """How long a node is out, by what the catalogue claims."""
    if not cost.slow_minutes:
        return "no workload feels it"
    longest = span_words(timedelta(minutes=cost.slow_minutes))
    if cost.quick_minutes == cost.slow_minutes:
        return longest
    return f"{span_words(timedelta(minutes=cost.quick_minutes))} to {longest}"


def total(cost: Cost) -> str:
    """1,204 node-hours."""
    return f"{words.number(round(cost.node_minutes / MINUTES_OF_HOUR))} node-hours"


def dates(cost: Cost, zone: str) -> str:
    """Sat 3 Jan to Fri 9 Jan; empty without a window."""
    found = sorted({calendar_day(share.start, zone) for share in cost.windows})
    if not found:
        return ""
    return words.day(found[0]) if len(found) == 1 else f"{words.day(found[0])} to {words.day(found[-1])}"


def days(cost: Cost, zone: str) -> Sequence[DayShare]:
    """The windows by calendar day."""
    found = []
    for day, group in groupby(cost.windows, key=lambda share: calendar_day(share.start, zone)):
        shares = list(group)
        found.append(
            DayShare(
                day=day,
                windows=len(shares),
                nodes=sum(share.nodes for share in shares),
                start=shares[0].start,
                end=max(share.end for share in shares),
            )
        )
    return found
