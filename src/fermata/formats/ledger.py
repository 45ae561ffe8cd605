"""Makes the consent ledger that an approvals file stands for, when files are used without a store."""

from collections import defaultdict
from datetime import datetime

from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Cluster, Fleet
from fermata.domain.ids import ApprovalId, NodeId, SupercomputerId, UpdateId
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.policy import ConsentEntry, Scope, ScopeLevel
from fermata.domain.requests import request_id
from fermata.domain.updates import Catalogue
from fermata.formats.approvals import PlacedOrder
from fermata.formats.faults import FaultLog, quote

FIRST_INCARNATION = 1  # files remember no earlier request


class LedgerMaker:
    """Orders of a file as the ledger they make: given for what is pending now, in the file's order."""

    def __init__(self, fleet: Fleet, catalogue: Catalogue, campaign: Campaign, log: FaultLog) -> None:
        self._fleet = fleet
        self._log = log
        self._at = campaign.planned_as_of
        self._asked = [find_pending(fleet, catalogue)]
        if campaign.updates is not None:  # an older update, if the campaign names it, is due in place of a newer one
            self._asked.append(find_pending(fleet, catalogue, campaign.updates))
        self._racks: dict[str, list[NodeId]] = defaultdict(list)
        for node in fleet.nodes.values():
            self._racks[node.rack].append(node.name)
        self._due: dict[SupercomputerId, set[UpdateId]] = defaultdict(set)
        self._touched: dict[NodeId, bool] = {}
        for pending in self._asked:
            self._collect(pending)

    def _collect(self, pending: FleetPending) -> None:
        fleet = self._fleet
        for name, unit in pending.nodes.items():
            due = {item.update.id for item in unit.due}
            self._due[fleet.clusters[fleet.nodes[name].cluster].supercomputer] |= due
            if due:
                self._touched[name] = True
        for device_name, unit in pending.devices.items():
            device = fleet.devices[device_name]
            due = {item.update.id for item in unit.due}
            self._due[fleet.clusters[device.cluster].supercomputer] |= due
            if due:
                self._touched.update((node.name, True) for node in fleet.nodes_behind(device))

    def entries(self, placed: list[PlacedOrder]) -> tuple[ConsentEntry, ...]:
        """One entry for each order; what cannot be one is faulted."""
        made = [self._entry(seq, item) for seq, item in enumerate(placed, start=1)]
        return tuple(entry for entry in made if entry)

    def _entry(self, seq: int, item: PlacedOrder) -> ConsentEntry | None:
        order = item.order
        supercomputers = self._supercomputers(order.scope)
        at: datetime | None = order.at or self._at
        if len(supercomputers) != 1:
            names = ", ".join(sorted(supercomputers))
            self._log.add(f"{order.scope} stands in {names or 'no supercomputer'}: name its nodes instead.", item.place)
        elif not any(name in self._touched for name in self._nodes(order.scope)):
            self._log.add(f"Nothing is pending on {order.scope.level} {quote(order.scope.name)}.", item.place)
        elif at is None:
            self._log.add("Say when, with `at`: the campaign has no planned_as_of to take instead.", item.place)
        else:
            (supercomputer,) = supercomputers
            return ConsentEntry(
                seq=seq,
                id=ApprovalId(f"apr_file_{seq:06}"),
                request=request_id(supercomputer),
                incarnation=FIRST_INCARNATION,
                updates=frozenset(self._due[supercomputer]),
                scope=order.scope,
                verdict=order.verdict,
                actor=order.actor,
                at=at,
                reason=order.reason,
            )
        return None

    def _nodes(self, scope: Scope) -> list[NodeId]:
        fleet = self._fleet
        match scope.level:
            case ScopeLevel.NODE:
                return [NodeId(scope.name)]
            case ScopeLevel.RACK:
                return self._racks[scope.name]
            case ScopeLevel.CLUSTER | ScopeLevel.SUPERCOMPUTER:
                return [node.name for c in self._clusters(scope) for node in fleet.nodes_by_cluster[c.name]]

    def _clusters(self, scope: Scope) -> list[Cluster]:
        key = scope.level is ScopeLevel.CLUSTER
        return [c for c in self._fleet.clusters.values() if (c.name if key else c.supercomputer) == scope.name]

    def _supercomputers(self, scope: Scope) -> set[SupercomputerId]:
        match scope.level:
            case ScopeLevel.CLUSTER | ScopeLevel.SUPERCOMPUTER:
                return {cluster.supercomputer for cluster in self._clusters(scope)}
            case ScopeLevel.NODE | ScopeLevel.RACK:
                clusters = {self._fleet.nodes[name].cluster for name in self._nodes(scope)}
                return {self._fleet.clusters[name].supercomputer for name in clusters}
