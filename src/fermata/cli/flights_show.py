"""Flights in words: where each flies, where it is done, and why it does not fly on nodes that were approved."""

from collections.abc import Sequence
from typing import Any

from fermata.cli import output
from fermata.domain.flights import Flight
from fermata.domain.planned_flights import PlannedFlight


def print_flights(flights: Sequence[Flight]) -> None:
    """A line for each, then why nodes stay on the ground."""
    if not flights:
        return
    rows = [
        (
            flight.update,
            flight.supercomputer,
            f"{len(flight.nodes):,}",
            f"{len(flight.landed):,}",
            f"{len(flight.grounded):,}",
        )
        for flight in flights
    ]
    headings = ("flight", "supercomputer", "flies on", "done on", "not on")
    output.out.print(output.table("Flights", headings, rows, right=(2, 3, 4)))
    for flight in flights:
        for node, why in flight.grounded.items():
            output.say(f"{node}: {why}")


def say_where(flight: PlannedFlight) -> str:
    """What a plan tries, on how many nodes, in how many windows."""
    nodes, windows = output.count(flight.nodes, "node"), output.count(len(flight.windows), "window")
    return f"{flight.update}: {nodes} in {windows}"


def flight_json(flight: Flight) -> dict[str, Any]:
    """With stable keys."""
    return {
        "update": flight.update,
        "supercomputer": flight.supercomputer,
        "nodes": list(flight.nodes),
        "landed": list(flight.landed),
        "grounded": [
            {"node": node, "code": why.code, "sentence": why.sentence} for node, why in flight.grounded.items()
        ],
    }
