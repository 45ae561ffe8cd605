"""Flights looked at once more as a window opens: who was to try one and may not any more stays, with the reason."""

from collections.abc import Mapping

from fermata.domain.fleet import Fleet
from fermata.domain.flights import find_flights
from fermata.domain.ids import NodeId
from fermata.domain.operations import WindowRun
from fermata.domain.reasons import Code, Reason, reason
from fermata.execution.consented import Said
from fermata.execution.stage import Stage
from fermata.store.flights import load_undone


def find_grounded(stage: Stage, row: WindowRun, live: Fleet, said: Said) -> Mapping[NodeId, Reason]:
    """The window's nodes on which a flight is planned that may not fly there now. `live`: its cluster as observed."""
    score, script = stage.score(row.plan), stage.script(row.window)
    planned = {f.update: f.nodes & script.nodes.keys() for f in score.catalogue.flights if f.update in script.by_id}
    if not planned:
        return {}
    nodes, devices = {**stage.fleet.nodes, **live.nodes}, {**stage.fleet.devices, **live.devices}
    fleet = Fleet(clusters=stage.fleet.clusters, nodes=nodes, devices=devices)
    with stage.database.read() as conn:
        undone = load_undone(conn, said.ledger)
    flights = find_flights(fleet, score.catalogue, said.policy, said.ledger, undone)
    found: dict[NodeId, Reason] = {}
    for update, names in sorted(planned.items()):
        own = [flight for flight in flights if flight.update == update]
        why = {name: each for flight in own for name, each in flight.grounded.items()}
        clear = {name for flight in own for name in flight.nodes}
        for name in sorted(names - clear):
            found[name] = why.get(name) or reason(Code.FLIGHT_GROUNDED, update=update, node=name)
    return found
