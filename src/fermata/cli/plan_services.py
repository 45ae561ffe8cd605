"""How a plan treats services, in a terminal: for each its tightest day, and where its load stands then."""

from collections import defaultdict
from collections.abc import Sequence

from fermata.cli import output
from fermata.domain.ids import ClusterId
from fermata.domain.plans import ServiceDay

HOSTS_SHOWN = 2  # a line; --json names all of them


def tell_services(lines: Sequence[ServiceDay]) -> None:
    """One line for each service and geo: the day on which least is left above its minimum. Where any has a minimum,
    only those that do.
    """
    bound = [line for line in lines if line.minimum]
    tightest: dict[tuple[str, str], ServiceDay] = {}
    for line in bound or lines:
        place = (line.service, line.geo)
        before = tightest.get(place)
        if before is None or _rank(line) < _rank(before):
            tightest[place] = line
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
            _name_hosts(line),
        )
        for _, line in sorted(tightest.items())
    ]
    output.out.print(output.table("Services, on the day with least to spare", headings, rows, right=(3, 4, 5, 6)))


def _rank(line: ServiceDay) -> tuple[int, int]:
    return line.remaining - line.minimum, line.day.toordinal()


def _name_hosts(line: ServiceDay) -> str:
    """The clusters with the most nodes that carry its load, largest first."""
    hosts: dict[ClusterId, int] = defaultdict(int)
    for move in line.moves:
        hosts[move.to_cluster] += move.nodes
    ordered = sorted(hosts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} ({nodes:,})" for name, nodes in ordered[:HOSTS_SHOWN])
    hidden = len(ordered) - HOSTS_SHOWN
    return f"{shown} and {hidden} more" if hidden > 0 else shown or "-"
