"""Where in the fleet things lie that requests name: what a decision about them is a decision about."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from fermata.authority.needs_words import Kind, Named
from fermata.authority.places import WHOLE_FLEET, Place, of_cluster, of_customer
from fermata.domain.campaign import Campaign
from fermata.domain.fleet import Cluster
from fermata.domain.ids import (
    CampaignId,
    ClusterId,
    CustomerId,
    OrderId,
    RequestId,
    RunId,
    SubscriptionId,
)
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.requests import Request
from fermata.domain.subscriptions import Subscription
from fermata.domain.work_orders import WorkOrder
from fermata.services.arm_whereabouts import clusters_at, clusters_of_instance, rack_at, rack_of_instance
from fermata.store import announcing, inventory, plans, requests, runs, subscriptions, work_orders
from fermata.store import consent as consent_store
from fermata.store.bulk import NAMES_PER_STATEMENT
from fermata.store.database import Connection, Database, NotStored

Found = Iterable[Cluster]
Name = TypeVar("Name", RequestId, OrderId)
UNITS = (Kind.GROUP, Kind.NODE, Kind.DEVICE, Kind.UNIT)


def find_places(db: Database, named: Iterable[Named]) -> Mapping[Named, frozenset[Place]]:
    """Where each of them lies. What nobody knows, or what lies nowhere, is a matter of the whole fleet: whoever may do
    it there is told by the handler that there is no such thing, and nobody else learns so much.
    """
    asked = frozenset(named)
    with db.read() as conn:
        atlas = _Atlas(conn=conn, asked=asked)
        return {each: frozenset(atlas.find(each)) or frozenset({WHOLE_FLEET}) for each in asked}


@dataclass(frozen=True, kw_only=True)
class _Atlas:
    """The fleet by what things lie in, each part read when it is first asked for, and once for all that was asked: a
    request may name tens of thousands of things, known or not.
    """

    conn: Connection
    asked: frozenset[Named]

    def find(self, named: Named) -> Iterable[Place]:
        """None for what nobody knows."""
        match named.kind:
            case Kind.WHOLE_FLEET | Kind.SOMEWHERE:
                return (WHOLE_FLEET,)
            case Kind.CUSTOMER:
                return (of_customer(CustomerId(named.name)),)
            case _:
                return map(of_cluster, self._narrow(self._finders[named.kind](named.name), named.of))

    @staticmethod
    def _narrow(found: Found, customer: str) -> Found:
        return [cluster for cluster in found if cluster.customer == customer] if customer else found

    @cached_property
    def _finders(self) -> Mapping[Kind, Callable[[str], Found]]:
        return {
            Kind.SUPERCOMPUTER: self._of_supercomputer,
            Kind.CLUSTER: self._of_cluster,
            Kind.RACK: lambda name: self._named(self._racks.get(name, ())),
            **dict.fromkeys(UNITS, self._of_unit),
            Kind.CAMPAIGN: self._of_campaign,
            Kind.RUN: self._of_run,
            Kind.PLAN: self._of_plan,
            Kind.WINDOW: self._of_window,
            Kind.REQUEST: self._of_request,
            Kind.WORK_ORDER: self._of_order,
            Kind.FREEZE: self._of_freeze,
            Kind.EXEMPTION: self._of_exemption,
            Kind.OFFER: self._of_offer,
            Kind.SUBSCRIPTION: self._of_subscription,
            Kind.ARM_PATH: lambda path: self._named(clusters_at(self._clusters, path)),
            Kind.ARM_SCOPE: lambda path: self._with_rack(clusters_at(self._clusters, path), rack_at(path)),
            Kind.INSTANCE: lambda path: self._with_rack(
                clusters_of_instance(self._clusters, path), rack_of_instance(path)
            ),
        }

    @cached_property
    def _clusters(self) -> Mapping[ClusterId, Cluster]:
        return inventory.load_clusters(self.conn)

    @cached_property
    def _units(self) -> Mapping[str, ClusterId]:
        return announcing.clusters_of(self.conn, self._asked_units)

    @cached_property
    def _asked_units(self) -> frozenset[str]:
        return frozenset(self._names(*UNITS))

    @cached_property
    def _racks(self) -> Mapping[str, frozenset[ClusterId]]:
        return announcing.clusters_of_racks(self.conn, self._names(Kind.RACK))

    @cached_property
    def _policy(self) -> Policy:
        return inventory.load_policy(self.conn)

    @cached_property
    def _campaigns(self) -> Sequence[Campaign]:
        return inventory.list_campaigns(self.conn)

    @cached_property
    def _plans(self) -> Mapping[str, CampaignId]:
        return {line.id: line.campaign for line in plans.list_plans(self.conn)}

    @cached_property
    def _windows(self) -> Mapping[str, set[ClusterId]]:
        """Of the newest run of any campaign, or of the plan in force."""
        found = defaultdict[str, set[ClusterId]](set)
        for campaign in self._campaigns:
            run = runs.latest_run(self.conn, campaign.id)
            for row in runs.load_windows(self.conn, run.id) if run else ():
                found[row.window].add(row.cluster)
            plan = plans.published_plan(self.conn, CampaignId(campaign.id))
            for window in plan.windows if plan else ():
                found[window.id].add(window.cluster)
        return found

    @cached_property
    def _requests(self) -> Mapping[RequestId, Request]:
        asked = [RequestId(name) for name in self._names(Kind.REQUEST)]
        return {name: each for some in _parts(asked) for name, each in requests.load_requests(self.conn, some).items()}

    @cached_property
    def _orders(self) -> Mapping[OrderId, WorkOrder]:
        asked = [OrderId(name) for name in self._names(Kind.WORK_ORDER)]
        return {name: each for some in _parts(asked) for name, each in work_orders.load_named(self.conn, some).items()}

    @cached_property
    def _exemptions(self) -> Mapping[str, str]:
        return {exemption.id: exemption.freeze for exemption in consent_store.load_exemptions(self.conn)}

    @cached_property
    def _entries(self) -> Mapping[str, ConsentEntry]:
        return {entry.id: entry for entry in consent_store.load_ledger(self.conn)}

    @cached_property
    def _subscriptions(self) -> Mapping[SubscriptionId, Subscription]:
        return subscriptions.load_subscriptions(self.conn)

    def _names(self, *kinds: Kind) -> list[str]:
        return [named.name for named in self.asked if named.kind in kinds]

    def _named(self, names: Iterable[ClusterId]) -> Found:
        return [self._clusters[name] for name in names if name in self._clusters]

    def _with_rack(self, found: Collection[ClusterId], rack: str) -> Found:
        """With the other clusters, whoever's, that racks of that name reach into from these."""
        racks = announcing.racks_of(self.conn, found) if rack else ()
        reached = announcing.clusters_of_racks(self.conn, (name for name in racks if name.lower() == rack))
        return self._named(frozenset(found).union(*reached.values()))

    def _of_supercomputer(self, name: str) -> Found:
        return [cluster for cluster in self._clusters.values() if cluster.supercomputer == name]

    def _of_cluster(self, name: str) -> Found:
        return self._named([ClusterId(name)])

    def _of_unit(self, name: str) -> Found:
        known = self._units if name in self._asked_units else announcing.clusters_of(self.conn, [name])
        found = known.get(name)
        return self._named([found] if found is not None else [])

    def _of_campaign(self, name: str) -> Found:
        chosen = [campaign for campaign in self._campaigns if not name or campaign.id == name]
        return [c for c in self._clusters.values() if any(each.scope.matches_cluster(c) for each in chosen)]

    def _of_run(self, name: str) -> Found:
        run = runs.load_run(self.conn, RunId(name))
        return self._of_campaign(run.campaign) if run is not None else ()

    def _of_plan(self, name: str) -> Found:
        campaign = self._plans.get(name)
        return self._of_campaign(campaign) if campaign is not None else ()

    def _of_window(self, name: str) -> Found:
        return self._named(self._windows.get(name, ()))

    def _of_request(self, name: str) -> Found:
        found = self._requests.get(RequestId(name))
        if found is None:
            return ()
        return [c for c in self._of_supercomputer(found.supercomputer) if c.customer in found.customers]

    def _of_order(self, name: str) -> Found:
        found = self._orders.get(OrderId(name))
        if found is None:
            return ()
        return self._scope(found.target.level.value, found.target.name)

    def _of_freeze(self, name: str) -> Found:
        try:
            found = next((freeze for freeze in self._policy.freezes if freeze.id == name), None)
        except NotStored:
            return ()
        return [c for c in self._clusters.values() if found is not None and c.customer == found.customer]

    def _of_exemption(self, name: str) -> Found:
        freeze = self._exemptions.get(name)
        return self._of_freeze(freeze) if freeze is not None else ()

    def _of_offer(self, name: str) -> Found:
        found = self._entries.get(name)
        if found is None:
            return ()
        return self._scope(found.scope.level.value, found.scope.name)

    def _scope(self, level: str, name: str) -> Found:
        if level == Kind.RACK:
            return self._named(announcing.clusters_of_racks(self.conn, [name]).get(name, ()))
        return self._finders[Kind(level)](name)

    def _of_subscription(self, name: str) -> Found:
        """Everything the customers hold that it is for: an operator's own is a matter of the whole fleet."""
        found = self._subscriptions.get(SubscriptionId(name))
        return [c for c in self._clusters.values() if found is not None and c.customer in found.customers]


def _parts(names: Sequence[Name]) -> Iterator[Sequence[Name]]:
    """Each as many as one statement may name."""
    return (names[start : start + NAMES_PER_STATEMENT] for start in range(0, len(names), NAMES_PER_STATEMENT))
