"""The facts a plan is judged by, derived once from the inputs by the checker alone: scope, work, consent, days."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from functools import cached_property

import numpy as np

from fermata.domain.campaign import Limit, LimitKind, Where
from fermata.domain.consent import Consent, device_gaps, find_consent
from fermata.domain.daily_caps import DailyCap, find_daily_caps
from fermata.domain.fleet import Device, Fleet
from fermata.domain.ids import ClusterId, DeviceId, NodeId, UpdateId
from fermata.domain.observed import withdrawn_nodes
from fermata.domain.pending import FleetPending
from fermata.domain.reasons import Reason
from fermata.domain.replanning import Standing, served_nodes, waiting_nodes
from fermata.domain.updates import Update
from fermata.domain.windows import Interval, calendar_day, day_interval, days_between
from fermata.planning.circles import find_circular
from fermata.planning.closings import Closings
from fermata.planning.columns import NO_NUMBERS, NOBODY, Columns, Flags, read_columns
from fermata.planning.dues import Dues, read_dues
from fermata.planning.inputs import PlanningInput

NAMES_SHOWN = 3  # in a sentence; the violation itself carries every node


@dataclass(frozen=True, kw_only=True)
class CheckCase:
    """Inputs with what follows from them. Immutable; build it once and judge many plans or windows by it.

    In a re-plan, what ran of the parent is taken as well ended: `fleet` and `pending` are what is left after it.
    `standing`: what of the parent plan still stands; nothing of it without a parent.
    """

    inputs: PlanningInput
    fleet: Fleet
    standing: Standing
    pending: FleetPending

    @cached_property
    def columns(self) -> Columns:
        """The fleet by number."""
        return read_columns(self.fleet)

    @cached_property
    def dues(self) -> Dues:
        """What is pending by number."""
        return read_dues(self.columns, self.pending)

    @cached_property
    def served(self) -> Mapping[ClusterId, frozenset[NodeId]]:
        """By cluster, the nodes that windows took which ran already."""
        return served_nodes(self.standing)

    @cached_property
    def withdrawn(self) -> Mapping[NodeId, Reason]:
        """Nodes that left the campaign."""
        return withdrawn_nodes(self.fleet, self.inputs.observed)

    @cached_property
    def waiting(self) -> Mapping[NodeId, Reason]:
        """Nodes that a published window was taken away from, and that nobody was asked about since."""
        inputs = self.inputs
        return waiting_nodes(self.fleet, inputs.policy, self.pending, inputs.parent, inputs.ledger)

    @cached_property
    def promised(self) -> Mapping[NodeId, datetime]:
        """When each node of a window within the notice was told to go."""
        return {name: window.start for window in self.standing.held for name in window.nodes}

    def update(self, name: UpdateId) -> Update | None:
        """The update of that id, None when the catalogue has none."""
        return self.inputs.catalogue.updates.get(name)

    @cached_property
    def rebootful(self) -> frozenset[UpdateId]:
        """Updates that run only from a reboot on."""
        return frozenset(name for name, update in self.inputs.catalogue.updates.items() if update.needs_reboot)

    @cached_property
    def in_scope(self) -> frozenset[ClusterId]:
        """Clusters that the campaign is about."""
        scope = self.inputs.campaign.scope
        return frozenset(name for name, cluster in self.fleet.clusters.items() if scope.matches_cluster(cluster))

    @cached_property
    def scoped(self) -> Flags:
        """By number of node, whether its cluster is in scope."""
        return self.columns.of_clusters(self.in_scope)[self.columns.nodes.cluster]

    @cached_property
    def working(self) -> Flags:
        """By number of node, whether it is in scope and has work: own due updates, or a draining device behind it."""
        return self.scoped & self.dues.has_work

    @cached_property
    def _working_by_cluster(self) -> dict[ClusterId, frozenset[NodeId]]:
        return {}

    def working_in(self, cluster: ClusterId) -> frozenset[NodeId]:
        """The working nodes of a cluster that the fleet knows."""
        found = self._working_by_cluster.get(cluster)
        if found is None:
            members = self.columns.members(cluster)
            found = frozenset(self.columns.nodes.named(members[self.working[members]]))
            self._working_by_cluster[cluster] = found
        return found

    @cached_property
    def alone(self) -> Flags:
        """By number of node, whether it is in scope and stands behind a device with work that nobody would feel and
        for which no window takes a node, since none behind it has work.
        """
        devices, dues = self.columns.devices, self.dues
        places = np.unique(devices.place[(dues.update != NOBODY) & ~dues.drains & (devices.place != NOBODY)])
        found = np.zeros(len(self.columns.nodes.nodes), np.bool_)
        for place in places.tolist():
            members = self.columns.nodes_at.one(place)
            found[members] |= not dues.has_work[members].any()
        return found & self.scoped

    @cached_property
    def unknown(self) -> frozenset[NodeId]:
        """Nodes that do not report the version of a component that an update targets."""
        return frozenset(self.columns.nodes.named(np.flatnonzero(self.dues.unknown)))

    @cached_property
    def unknown_devices(self) -> Mapping[DeviceId, frozenset[UpdateId]]:
        """Devices whose version is unknown, with the updates that might be due there."""
        units = self.pending.devices.items()
        return {name: frozenset(u for x in unit.unknown for u in x.updates) for name, unit in units if unit.unknown}

    def device_due(self, device: DeviceId) -> Update | None:
        """The update due on a device; None also of one that the fleet does not know."""
        number = self.columns.devices.number.get(device)
        return self.dues.of_device(number) if number is not None else None

    def is_draining(self, device: DeviceId) -> bool:
        """True when a workload would feel the update due on the device: every node behind it must be out."""
        due = self.device_due(device)
        return due is not None and due.needs_drain

    @cached_property
    def circular(self) -> Mapping[ClusterId, frozenset[UpdateId]]:
        """By cluster the due updates that no order of its windows brings: those in a circle, and those behind one."""
        found: dict[ClusterId, set[UpdateId]] = {name: set() for name in self.fleet.clusters}
        columns, dues = self.columns, self.dues
        names = tuple(columns.clusters)
        for cluster, kind in np.unique(np.stack([columns.nodes.cluster, dues.kind]), axis=1).T.tolist():
            found[names[cluster]].update(dues.kinds[kind])
        for number in np.flatnonzero(dues.update != NOBODY).tolist():
            found[columns.devices.devices[number].cluster].add(dues.updates[dues.update[number]].id)
        updates = self.inputs.catalogue.updates
        return {cluster: find_circular([updates[name] for name in sorted(due)]) for cluster, due in found.items()}

    @cached_property
    def consent(self) -> Consent:
        """What may be touched, and when: all of it at any time without a ledger, since then nothing is on record."""
        ledger = self.inputs.ledger
        if ledger is None:
            return Consent(gaps={}, times={}, companions={})
        return find_consent(self.fleet, self.inputs.policy, self.pending, ledger)

    @cached_property
    def gaps(self) -> Mapping[NodeId, Reason]:
        """Nodes whose consent is missing."""
        return self.consent.gaps

    @cached_property
    def daily_caps(self) -> tuple[DailyCap, ...]:
        """How many nodes may go a day by the approvals that say so."""
        inputs = self.inputs
        return find_daily_caps(self.fleet, inputs.policy, inputs.catalogue.updates, inputs.ledger or ())

    @cached_property
    def device_gaps(self) -> Mapping[DeviceId, Reason]:
        """Devices with due work that consent does not cover; empty when no ledger is given."""
        ledger = self.inputs.ledger
        return {} if ledger is None else device_gaps(self.fleet, self.inputs.policy, self.pending, ledger)

    @cached_property
    def big(self) -> frozenset[ClusterId]:
        """Clusters with more nodes than the campaign's `big_cluster_nodes`."""
        bound = self.inputs.campaign.big_cluster_nodes
        return frozenset(name for name, nodes in self.fleet.nodes_by_cluster.items() if len(nodes) > bound)

    @cached_property
    def _devices_by_spot(self) -> dict[int, tuple[Device, ...]]:
        return {}

    def devices_of(self, node: int) -> tuple[Device, ...]:
        """The shared devices that the node of that number hangs on, by name, found once per spot."""
        columns = self.columns
        spot = int(columns.nodes.spot[node])
        found = self._devices_by_spot.get(spot)
        if found is None:
            here = np.sort(columns.devices_at.several(columns.nodes.places[:, node]))
            found = self._devices_by_spot[spot] = tuple(columns.devices.devices[n] for n in here.tolist())
        return found

    @cached_property
    def _carriers(self) -> dict[str, Mapping[int, Sequence[int]]]:
        return {}

    def carriers_at(self, component: str) -> Mapping[int, Sequence[int]]:
        """By place, the devices with that component behind which nodes stand there."""
        found = self._carriers.get(component)
        if found is None:
            found = self._carriers[component] = self._find_carriers(component)
        return found

    @cached_property
    def _has_carrier(self) -> dict[str, Flags]:
        return {}

    def has_carrier(self, component: str) -> Flags:
        """By number of place, whether a device with that component is there."""
        found = self._has_carrier.get(component)
        if found is None:
            found = self._has_carrier[component] = np.zeros(self.columns.place_count, np.bool_)
            found[list(self.carriers_at(component))] = True
        return found

    def _find_carriers(self, component: str) -> Mapping[int, Sequence[int]]:
        devices = self.columns.devices
        carry = [number for number, device in enumerate(devices.devices) if device.component == component]
        found: dict[int, list[int]] = {}
        for number, place in zip(carry, devices.place[carry].tolist(), strict=True):
            found.setdefault(place, []).append(number)
        found.pop(NOBODY, None)
        return found

    @cached_property
    def _reporting(self) -> dict[str, Flags]:
        return {}

    def reporting(self, component: str) -> Flags:
        """By number of node, whether it has that component itself."""
        found = self._reporting.get(component)
        if found is None:
            found = np.array([component in node.versions for node in self.columns.nodes.nodes], np.bool_)
            self._reporting[component] = found
        return found

    def spread(self, seeds: Iterable[NodeId]) -> frozenset[NodeId]:
        """`seeds` and every node that cannot go when one of them cannot: over any chain of draining devices, all behind
        which are out together, and of approvals that hold only together with others.
        """
        reached = self._spread_over_devices(seeds)
        while fresh := self._dependents(reached):
            reached = self._spread_over_devices(reached | fresh)
        return reached

    def reach(self, names: Iterable[NodeId]) -> frozenset[NodeId]:
        """`names` and every node that might keep one of them from going: `spread` the other way round."""
        companions = self.consent.companions
        found = self._spread_over_devices(names)
        while fresh := {other for name in found for other in companions.get(name, ())} - found:
            found = self._spread_over_devices(found | fresh)
        return found

    def _dependents(self, names: frozenset[NodeId]) -> set[NodeId]:
        return {n for n, others in self.consent.companions.items() if n not in names and not others.isdisjoint(names)}

    def _spread_over_devices(self, seeds: Iterable[NodeId]) -> frozenset[NodeId]:
        columns, dues = self.columns, self.dues
        found = columns.nodes.find(tuple(seeds))
        reached = fresh = np.unique(found[found != NOBODY])
        asked = NO_NUMBERS
        while fresh.size:
            places = np.unique(columns.nodes.places[:, fresh])
            places = np.setdiff1d(places[dues.place_drains[places]], asked, assume_unique=True)
            asked = np.concatenate([asked, places])
            fresh = np.setdiff1d(columns.nodes_at.several(places), reached)
            reached = np.concatenate([reached, fresh])
        return frozenset(columns.nodes.named(reached))

    def matching(self, where: Where) -> Flags:
        """By number of node, whether it is in scope and matches `where`, with work or without."""
        found = np.zeros(len(self.columns.nodes.nodes), np.bool_)
        for name in self.in_scope:
            members = self.fleet.nodes_by_cluster[name]
            nodes = where.select(members, self.fleet.clusters[name])
            if len(nodes) == len(members):
                found[self.columns.members(name)] = True
            else:
                found[self.columns.nodes.find([node.name for node in nodes])] = True
        return found

    @cached_property
    def limits(self) -> tuple[tuple[Limit, Flags], ...]:
        """Every limit of the campaign with the in-scope nodes that match its `where`, by number."""
        limits = self.inputs.campaign.limits
        assert all(is_countable(limit) for limit in limits), "a limit without a bound of its kind holds nobody"
        return tuple((limit, self.matching(limit.where)) for limit in limits)

    @cached_property
    def _days_by_start(self) -> dict[datetime, date]:
        return {}

    def day_of(self, start: datetime) -> date:
        """The campaign's calendar day of a window that starts at `start`; past midnight of a daily window
        that crosses it, still the day on which the daily window began. Many windows start at the same time.
        """
        day = self._days_by_start.get(start)
        if day is None:
            day = self._days_by_start[start] = self._find_day(start)
        return day

    def _find_day(self, start: datetime) -> date:
        campaign = self.inputs.campaign
        day = calendar_day(start, campaign.timezone)
        daily = campaign.daily_window
        if daily.back_in_service_by <= daily.start:
            before = date.fromordinal(day.toordinal() - 1)
            if start < self.daily_interval(before).end:
                return before
        return day

    def daily_interval(self, day: date) -> Interval:
        """Where windows of `day` may lie, UTC."""
        campaign = self.inputs.campaign
        daily = campaign.daily_window
        return day_interval(day, daily.start, daily.back_in_service_by, campaign.timezone)

    @cached_property
    def days(self) -> tuple[date, ...]:
        """Every calendar day of the campaign, extension included."""
        campaign = self.inputs.campaign
        return tuple(days_between(campaign.first_day, campaign.extension_until))

    def counts_on(self, limit: Limit, start: datetime) -> bool:
        """True when `limit` counts a window that starts at `start`: its day lies within from..until."""
        day = self.day_of(start)
        after_first = limit.first_day is None or day >= limit.first_day
        return after_first and (limit.last_day is None or day <= limit.last_day)

    @cached_property
    def closings(self) -> Closings:
        """When nodes may not be out."""
        return Closings(inputs=self.inputs, pending=self.pending, days=self._room, allowed_times=self.consent.times)

    @cached_property
    def _room(self) -> Interval | None:
        if not self.days:
            return None
        return Interval(self.daily_interval(self.days[0]).start, self.daily_interval(self.days[-1]).end)


def build_case(inputs: PlanningInput) -> CheckCase:
    """Derive every fact that checks need, so that judging a single window afterwards takes milliseconds."""
    case = CheckCase(
        inputs=inputs.settled, fleet=inputs.fleet_to_come, standing=inputs.standing, pending=inputs.pending_to_come
    )
    consent = (case.gaps, case.device_gaps)
    facts = (case.working, case.unknown, case.unknown_devices, consent, case.big, case.limits)
    assert all(fact is not None for fact in facts)
    return case


def is_countable(limit: Limit) -> bool:
    """True when the one bound of `limit` belongs to what it counts; readers of campaigns let no other through."""
    bounds = {"at_once": limit.at_once, "at_once_fraction": limit.at_once_fraction, "per_day": limit.per_day}
    given = [name for name, bound in bounds.items() if bound is not None]
    match limit.what:
        case LimitKind.NODES_OUT:
            return given in (["at_once"], ["at_once_fraction"])
        case LimitKind.WHOLE_BIG_CLUSTERS:
            return given == ["per_day"]
        case LimitKind.CLUSTER_WINDOWS:
            return given == ["at_once"]


def exactly(share: float) -> Fraction:
    """A share as written in the file, so that 0.07 of 100 is 7 and not a little more."""
    return Fraction(str(share))


def limit_text(limit: Limit) -> str:
    """A limit in the words of the campaign file."""
    conditions = limit.where.conditions.items()
    where = ", ".join(f"{key}: {' or '.join(sorted(values))}" for key, values in sorted(conditions))
    return f"{limit.what} where {where}" if where else str(limit.what)


def at(instant: datetime) -> str:
    """An instant as an operator reads it."""
    return f"{instant:%Y-%m-%d %H:%M:%SZ}"


def some(names: Iterable[str]) -> str:
    """The first few of `names`, and how many more there are."""
    ordered = sorted(names)
    hidden = len(ordered) - NAMES_SHOWN
    shown = ", ".join(ordered[:NAMES_SHOWN])
    return f"{shown} and {hidden:,} more" if hidden > 0 else shown
