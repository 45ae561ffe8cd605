"""What pages that stand alone share: one style, one set of filters. They load nothing and run nothing."""

from datetime import UTC
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment(timezone: str) -> Environment:
    """Templates with escaping on and undefined names refused; times are shown in that zone."""
    zone = ZoneInfo(timezone)
    made = Environment(
        loader=PackageLoader("fermata.server.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "clock": lambda at: f"{at.astimezone(zone):%H:%M}",
        "day": lambda day: f"{day:%a} {day.day} {day:%b}",
        "local_day": lambda at: f"{at.astimezone(zone):%a %d %b %Y}",
        "start": lambda at: f"{at.astimezone(zone):%a} {at.astimezone(zone).day} {at.astimezone(zone):%b %H:%M}",
        "windows": lambda parts: "left out" if parts == 0 else "whole" if parts == 1 else f"{parts} parts",
        "moment": lambda at: f"{at.astimezone(UTC):%Y-%m-%d %H:%MZ}",
        "sure": lambda share: f"{share:.0%}",
        "nodes": lambda number: f"{number:,} node{'' if number == 1 else 's'}",
        "thousands": lambda number: f"{number:,.0f}",
    }
    return made
