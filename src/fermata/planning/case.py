"""The facts a plan is judged by, derived once from the inputs by the checker alone: scope, work, consent, days."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from functools import cached_property

from fermata.domain.allowances import Allowance, closed_for_any, merge
from fermata.domain.campaign import Limit, LimitKind, Where
from fermata.domain.consent import consent_gaps, device_gaps, find_consent
from fermata.domain.fleet import Device, Fleet, Node
from fermata.domain.ids import ClusterId, DeviceId, NodeId, UpdateId
from fermata.domain.observed import withdrawn_nodes
from fermata.domain.pending import FleetPending, find_alone, find_pending, work_on
from fermata.domain.policy import Freeze
from fermata.domain.reasons import Reason
from fermata.domain.replanning import Standing, served_nodes, waiting_nodes
from fermata.domain.updates import Update
from fermata.domain.versions import is_at_least
from fermata.domain.windows import Interval, calendar_day, day_interval, days_between
from fermata.planning.inputs import PlanningInput

NAMES_SHOWN = 3  # in a sentence; the violation itself carries every node


@dataclass(frozen=True, kw_only=True)
class CheckCase:
    """Inputs with what follows from them. Immutable; build it once and judge many plans or windows by it.

    In a re-plan, what ran of the parent is taken as well ended: `fleet` and `pending` are what is left after it.
    """

    inputs: PlanningInput
    pending: FleetPending

    @property
    def fleet(self) -> Fleet:
        """The inventory the plan is judged against."""
        return self.inputs.fleet_to_come

    @property
    def standing(self) -> Standing:
        """What of the parent plan still stands; nothing of it without a parent."""
        return self.inputs.standing

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
    def in_scope(self) -> frozenset[ClusterId]:
        """Clusters that the campaign is about."""
        scope = self.inputs.campaign.scope
        return frozenset(name for name, cluster in self.fleet.clusters.items() if scope.matches_cluster(cluster))

    @cached_property
    def due(self) -> Mapping[NodeId, tuple[UpdateId, ...]]:
        """Updates due on each node itself, by id; nodes with none are absent."""
        nodes = self.pending.nodes.items()
        return {name: tuple(item.update.id for item in unit.due) for name, unit in nodes if unit.due}

    @cached_property
    def device_due(self) -> Mapping[DeviceId, Update]:
        """The update due on each device (a device has one component, so at most one); others are absent."""
        return {name: unit.due[0].update for name, unit in self.pending.devices.items() if unit.due}

    @cached_property
    def draining(self) -> frozenset[DeviceId]:
        """Devices whose due update a workload would feel: every node behind them must be out."""
        return frozenset(name for name, update in self.device_due.items() if update.needs_drain)

    @cached_property
    def working(self) -> Mapping[ClusterId, frozenset[NodeId]]:
        """In-scope nodes with work, by cluster: own due updates, or a draining device they hang on."""
        drained: set[NodeId] = set()
        devices = (self.fleet.devices[name] for name in self.draining)
        for device in {(device.cluster, device.scope, device.scope_id): device for device in devices}.values():
            drained.update(node.name for node in self.fleet.nodes_behind(device))
        members = self.fleet.nodes_by_cluster
        return {
            cluster: frozenset(n.name for n in members[cluster] if n.name in self.due or n.name in drained)
            for cluster in self.in_scope
        }

    @cached_property
    def alone(self) -> Mapping[ClusterId, frozenset[NodeId]]:
        """In-scope nodes without work behind a device with some, which nobody would feel and no window takes."""
        fleet, pending = self.fleet, self.pending
        behind = {name: map(self.names_behind, find_alone(fleet, pending, name)) for name in self.in_scope}
        return {name: frozenset().union(*names) for name, names in behind.items()}

    @cached_property
    def unknown(self) -> frozenset[NodeId]:
        """Nodes that do not report the version of a component that an update targets."""
        return frozenset(name for name, unit in self.pending.nodes.items() if unit.unknown)

    @cached_property
    def unknown_devices(self) -> Mapping[DeviceId, frozenset[UpdateId]]:
        """Devices whose version is unknown, with the updates that might be due there."""
        units = self.pending.devices.items()
        return {name: frozenset(u for x in unit.unknown for u in x.updates) for name, unit in units if unit.unknown}

    @cached_property
    def circular(self) -> Mapping[ClusterId, frozenset[UpdateId]]:
        """By cluster the due updates that no order of its windows brings: those in a circle, and those behind one."""
        found: dict[ClusterId, set[UpdateId]] = {name: set() for name in self.fleet.clusters}
        for node, names in self.due.items():
            found[self.fleet.nodes[node].cluster].update(names)
        for device, update in self.device_due.items():
            found[self.fleet.devices[device].cluster].add(update.id)
        updates = self.inputs.catalogue.updates
        return {cluster: _find_circular([updates[name] for name in sorted(due)]) for cluster, due in found.items()}

    @cached_property
    def gaps(self) -> Mapping[NodeId, Reason]:
        """Nodes whose consent is missing; empty when no ledger is given, since then nothing is on record."""
        ledger = self.inputs.ledger
        return {} if ledger is None else consent_gaps(self.fleet, self.inputs.policy, self.pending, ledger)

    @cached_property
    def allowed_times(self) -> Mapping[NodeId, frozenset[Allowance]]:
        """Nodes that consent lets be out at some times only; none when consent is assumed."""
        ledger = self.inputs.ledger
        return {} if ledger is None else find_consent(self.fleet, self.inputs.policy, self.pending, ledger).times

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
    def _devices_by_place(self) -> dict[tuple[str, str, str], tuple[Device, ...]]:
        return {}

    def devices_of(self, node: Node) -> tuple[Device, ...]:
        """The shared devices that `node` hangs on, found once per rack and scalable unit."""
        place = (node.cluster, node.rack, node.scalable_unit)
        found = self._devices_by_place.get(place)
        if found is None:
            found = self._devices_by_place[place] = self.fleet.devices_of(node)
        return found

    @cached_property
    def _names_by_place(self) -> dict[tuple[str, str, str], frozenset[NodeId]]:
        return {}

    def names_behind(self, device: Device) -> frozenset[NodeId]:
        """Names of the nodes behind `device`, found once for all devices at its place."""
        place = (device.cluster, device.scope, device.scope_id)
        found = self._names_by_place.get(place)
        if found is None:
            names = frozenset(node.name for node in self.fleet.nodes_behind(device))
            found = self._names_by_place[place] = names
        return found

    def spread(self, seeds: Iterable[NodeId]) -> frozenset[NodeId]:
        """`seeds` and every node that must be out together with one of them, over any chain of draining devices."""
        reached = {name for name in seeds if name in self.fleet.nodes}
        queue = list(reached)
        seen: set[DeviceId] = set()
        while queue:
            for device in self.devices_of(self.fleet.nodes[queue.pop()]):
                if device.name in self.draining and device.name not in seen:
                    seen.add(device.name)
                    fresh = {node.name for node in self.fleet.nodes_behind(device)} - reached
                    reached |= fresh
                    queue.extend(fresh)
        return frozenset(reached)

    def matching(self, where: Where) -> frozenset[NodeId]:
        """All in-scope nodes that match `where`, whether they have work or not."""
        found: set[NodeId] = set()
        for name in self.in_scope:
            nodes = where.select(self.fleet.nodes_by_cluster[name], self.fleet.clusters[name])
            found.update(node.name for node in nodes)
        return frozenset(found)

    @cached_property
    def limits(self) -> tuple[tuple[Limit, frozenset[NodeId]], ...]:
        """Every limit of the campaign with the in-scope nodes that match its `where`."""
        limits = self.inputs.campaign.limits
        assert all(is_countable(limit) for limit in limits), "a limit without a bound of its kind holds nobody"
        return tuple((limit, self.matching(limit.where)) for limit in limits)

    def day_of(self, start: datetime) -> date:
        """The campaign's calendar day of a window that starts at `start`; past midnight of a daily window
        that crosses it, still the day on which the daily window began.
        """
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

    def freezes_on(self, node: Node) -> tuple[Freeze, ...]:
        """Freezes whose scope holds `node`, but for those that its work is exempt from."""
        cluster, policy = self.fleet.clusters[node.cluster], self.inputs.policy
        held = (freeze for freeze in policy.freezes if freeze.scope.covers(node, cluster))
        if not policy.exemptions:
            return tuple(held)
        return tuple(f for f in held if not policy.lets_out(f, work_on(self.fleet, self.pending, node)))

    def shut_on(self, node: Node) -> tuple[Interval, ...]:
        """All times of the campaign's days at which `node` may not be out, in order: freezes, and what no allowance
        opens.
        """
        frozen = [Interval(freeze.start, freeze.end) for freeze in self.freezes_on(node)]
        allowances = self.allowed_times.get(node.name)
        if not allowances or not self.days:
            return tuple(sorted(frozen))
        first, last = self.daily_interval(self.days[0]), self.daily_interval(self.days[-1])
        return merge([*frozen, *closed_for_any(allowances, first.start, last.end)])


def build_case(inputs: PlanningInput) -> CheckCase:
    """Derive every fact that checks need, so that judging a single window afterwards takes milliseconds."""
    pending = find_pending(inputs.fleet_to_come, inputs.catalogue, inputs.campaign.updates)
    case = CheckCase(inputs=inputs.settled, pending=pending)
    consent = (case.gaps, case.device_gaps)
    facts = (case.due, case.working, case.unknown, case.unknown_devices, consent, case.big, case.limits)
    assert all(fact is not None for fact in facts)
    return case


def _find_circular(due: Sequence[Update]) -> frozenset[UpdateId]:
    """What is left of `due` when all that need not wait for any that is left have gone, again and again."""
    left = {update.id: update for update in due}
    while left:
        free = [name for name, update in left.items() if not any(_waits_for(update, o) for o in left.values())]
        if not free:
            break
        for name in free:
            del left[name]
    return frozenset(left)


def _waits_for(update: Update, other: Update) -> bool:
    return other.id in update.after or any(
        other is not update and other.component == need.component and is_at_least(other.to_version, need.min_version)
        for need in update.requires
    )


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
