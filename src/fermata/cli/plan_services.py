"""How a plan treats services, in a terminal: for each its tightest day, and where its load stands then."""

from collections.abc import Sequence

from fermata.cli import output
from fermata.domain.outlines import find_tightest, name_hosts
from fermata.domain.plans import ServiceDay


def tell_services(lines: Sequence[ServiceDay]) -> None:
    """One line for each service and geo: the day on which least is left above its minimum. Where any has a minimum,
    only those that do.
    """
    headings = ("service", "geo", "tightest day", "out", "carried", "remaining", "minimum", "load stands in")
    rows = [
        (
            line.service,
            line.geo,
            f"{line.day}",
            f"{line.out:,}",
            f"{line.lent:,}",
            f"{line.remaining:,}",
            f"{line.minimum:,}" if line.minimum else "-",
            name_hosts(line) or "-",
        )
        for line in find_tightest(lines)
    ]
    output.out.print(output.table("Services, on the day with least to spare", headings, rows, right=(3, 4, 5, 6)))
