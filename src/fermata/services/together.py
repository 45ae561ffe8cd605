"""Which updates ran together before, which pending sets never did, and what piled up during a freeze."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.combinations import (
    Combination,
    Pair,
    PairStanding,
    Together,
    find_combinations,
    find_pairs,
    pending_sets,
)
from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, FreezeId, NodeId, PlanId, RunId, SupercomputerId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.piles import Pile, find_pile
from fermata.domain.qualification import Result
from fermata.domain.reasons import Code, reason
from fermata.services.errors import Refusal, nearest, refusing_unknown
from fermata.services.fleets import read_fleet
from fermata.store import handovers, inventory, plans, runs, signals
from fermata.store.database import Connection, Database
from fermata.store.signals import Worked


def list_combinations(
    db: Database,
    *,
    supercomputer: SupercomputerId | None = None,
    plan: PlanId | None = None,
    seen: tuple[Fleet, FleetPending] | None = None,
) -> tuple[Combination, ...]:
    """Sets of updates that are pending on the same nodes, of one supercomputer or of all; of a plan, what its windows
    bring together. New ones first. `seen`: the fleet as stored and what is pending on it, if they are at hand. Raises
    Refusal for an unknown supercomputer or plan.
    """
    with refusing_unknown(), db.read() as conn:
        fleet, pending = seen or _see(conn)
        if supercomputer is not None:
            own = {c.name for c in fleet.clusters.values() if c.supercomputer == supercomputer}
            if not own:
                known = {c.supercomputer for c in fleet.clusters.values()}
                near = nearest(supercomputer, known)
                raise Refusal(reason(Code.SCOPE_UNKNOWN, level="supercomputer", name=supercomputer, nearest=near))
            pending = FleetPending(
                nodes={name: unit for name, unit in pending.nodes.items() if fleet.nodes[name].cluster in own},
                devices={name: unit for name, unit in pending.devices.items() if fleet.devices[name].cluster in own},
                asked=pending.asked,
            )
        sets = pending_sets(fleet, pending)
        if plan is not None:
            sets = _planned(conn, plan, sets)
        return find_combinations(fleet, sets, _known(conn, fleet))


def list_pairs(db: Database, seen: tuple[Fleet, FleetPending]) -> Mapping[Pair, PairStanding]:
    """Every pair of updates that is pending together somewhere, or ran together. `seen` as in `list_combinations`."""
    with db.read() as conn:
        return find_pairs(pending_sets(*seen).values(), _known(conn, seen[0]))


def list_piles(db: Database, *, now: datetime, freeze: FreezeId | None = None) -> tuple[Pile, ...]:
    """What waits in the scope of each freeze that has begun, or of one, by when they began. Raises Refusal for an
    unknown freeze.
    """
    with refusing_unknown(), db.read() as conn:
        fleet, catalogue = read_fleet(conn), inventory.load_catalogue(conn)
        freezes = {stated.id: stated for stated in inventory.load_policy(conn).freezes}
        if freeze is not None and freeze not in freezes:
            raise Refusal(reason(Code.FREEZE_UNKNOWN, freeze=freeze, nearest=nearest(freeze, freezes)))
        pending, known = find_pending(fleet, catalogue), _known(conn, fleet)
        wanted = [f for f in freezes.values() if (f.start <= now if freeze is None else f.id == freeze)]
        wanted.sort(key=lambda stated: (stated.start, stated.id))
        return tuple(find_pile(fleet, pending, stated, known, now) for stated in wanted)


def _see(conn: Connection) -> tuple[Fleet, FleetPending]:
    fleet = read_fleet(conn)
    return fleet, find_pending(fleet, inventory.load_catalogue(conn))


def _planned(
    conn: Connection, plan: PlanId, sets: Mapping[NodeId, frozenset[UpdateId]]
) -> dict[NodeId, frozenset[UpdateId]]:
    found = plans.load_plan(conn, plan)
    return {
        name: sets[name] & frozenset(window.updates)
        for window in found.windows
        for name in window.nodes
        if name in sets
    }


def _known(conn: Connection, fleet: Fleet) -> tuple[Together, ...]:
    said = [
        Together(
            updates=one.updates,
            place=one.ring.value,
            source=one.id,
            nodes=one.nodes if one.result is Result.PASSED else 0,
            failed=one.nodes if one.result is Result.FAILED else 0,
        )
        for one in signals.load_signals(conn)
    ]
    return (*said, *_ran(conn, fleet))


@dataclass(slots=True)
class _Count:
    well: int = 0
    badly: int = 0


def _ran(conn: Connection, fleet: Fleet) -> tuple[Together, ...]:
    """What runs brought to each node in one window, its devices' updates included, by run, cluster and set."""
    worked = signals.load_worked(conn)
    updates = _window_updates(conn, worked)
    on_device = {(w.run, w.window, w.unit): _named(w, updates) for w in worked if w.kind is UnitKind.DEVICE}
    counts: dict[tuple[RunId, ClusterId, frozenset[UpdateId]], _Count] = defaultdict(_Count)
    for one in worked:
        node = fleet.nodes.get(NodeId(one.unit)) if one.kind is UnitKind.NODE else None
        if one.kind is not UnitKind.NODE:
            continue
        brought = set(_named(one, updates))
        for device in fleet.devices_of(node) if node is not None else ():
            brought |= on_device.get((one.run, one.window, device.name), frozenset())
        count = counts[one.run, one.cluster, frozenset(brought)]
        if one.state is UnitState.FAILED:
            count.badly += 1
        else:
            count.well += 1
    return tuple(
        Together(updates=brought, place=cluster, source=run, nodes=count.well, failed=count.badly)
        for (run, cluster, brought), count in counts.items()
    )


def _window_updates(
    conn: Connection, worked: tuple[Worked, ...]
) -> Mapping[tuple[RunId, WindowId], tuple[UpdateId, ...]]:
    """The updates of each window in the order that the bits of an operation count them."""
    found: dict[tuple[RunId, WindowId], tuple[UpdateId, ...]] = {}
    read: dict[PlanId, Mapping[WindowId, tuple[UpdateId, ...]]] = {}
    for run in sorted({one.run for one in worked}):
        own = handovers.load_windows(conn, run)
        found |= {(run, name): window.updates for name, window in own.items()}
        for window in runs.load_windows(conn, run):
            if window.window in own:
                continue
            if window.plan not in read:
                read[window.plan] = {w.id: w.updates for w in plans.load_plan(conn, window.plan).windows}
            found[run, window.window] = read[window.plan].get(window.window, ())
    return found


def _named(one: Worked, updates: Mapping[tuple[RunId, WindowId], tuple[UpdateId, ...]]) -> frozenset[UpdateId]:
    return frozenset(u for bit, u in enumerate(updates.get((one.run, one.window), ())) if one.active >> bit & 1)
