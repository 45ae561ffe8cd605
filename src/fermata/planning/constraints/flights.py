"""A flight goes only onto nodes approved for it, qualified otherwise, one at a time, and no more than policy allows.

Protects a customer from trying what it did not agree to try, where it did not, or on more nodes than it would.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fermata.domain.fleet import Node
from fermata.domain.ids import CustomerId, NodeId, SupercomputerId, UpdateId
from fermata.domain.ledger import Decisions
from fermata.domain.policy import Policy
from fermata.domain.updates import NODE_TARGET, Stage, Update
from fermata.domain.versions import compare_versions
from fermata.planning.case import some
from fermata.planning.inputs import PlanningInput, Violation
from fermata.planning.reading import Reading, WindowReading

CODE = "FLIGHTS"
WRITTEN = "What flies where is decided before anything is planned (`domain.flights`): on no other node a flight is due."


def check(reading: Reading) -> Iterator[Violation]:
    """Flights on nodes not approved, of another role or not qualified; two in a supercomputer; more than allowed."""
    judge = _Judge(reading.case.inputs)
    if not judge.flights:
        return
    brought: dict[tuple[SupercomputerId, UpdateId], set[NodeId]] = {}
    for view in reading.every_window:
        if view.window.id in reading.past:
            continue
        for update in judge.flown_in(view):
            cluster = judge.inputs.fleet.clusters[view.window.cluster]
            names = frozenset(_find_due(reading, view, update))
            brought.setdefault((cluster.supercomputer, update.id), set()).update(names)
            wrong = judge.find_wrong(update, names) or _find_planted(view, update, names)
            if wrong and (reading.asked is None or view.window.id in reading.asked):
                sentence = f"Window {view.window.id} brings the flight {update.id} where it may not fly: {wrong.why}."
                yield Violation(rule=CODE, sentence=sentence, window=view.window.id, nodes=wrong.nodes)
    yield from _find_crowded(judge, brought)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrong:
    """Nodes on which a flight may not go, and why."""

    nodes: tuple[NodeId, ...]
    why: str


def _find_due(reading: Reading, view: WindowReading, update: Update) -> Iterator[NodeId]:
    """The nodes of a window that get the flight, or stand behind a device that does."""
    if update.target == NODE_TARGET:
        yield from view.names_due(update.id)
    fleet = reading.case.inputs.fleet
    for step in view.device_steps:
        for name in step.devices if step.update == update.id else ():
            device = fleet.devices.get(name)
            yield from (node.name for node in fleet.nodes_behind(device)) if device is not None else ()


def _find_planted(view: WindowReading, update: Update, names: frozenset[NodeId]) -> _Wrong | None:
    """Steps for more nodes than the flight is due on: nobody can tell which are meant."""
    steps = view.node_batches.get(update.id, ())
    nodes = sum(step.nodes for step in steps)
    if update.target != NODE_TARGET or nodes <= len(names):
        return None
    return _Wrong(nodes=view.window.nodes, why=f"its steps hold {nodes:,} nodes, and it is due on {len(names):,}")


def _find_crowded(
    judge: "_Judge", brought: Mapping[tuple[SupercomputerId, UpdateId], set[NodeId]]
) -> Iterator[Violation]:
    """Supercomputers with two flights, and customers with more nodes in flight than they allow, those done counted."""
    flying: dict[SupercomputerId, list[UpdateId]] = {}
    for (supercomputer, name), nodes in sorted(brought.items()):
        flying.setdefault(supercomputer, []).append(name)
        by_customer: dict[CustomerId, set[NodeId]] = {}
        fleet = judge.inputs.fleet
        for node in (fleet.nodes[each] for each in nodes | judge.running(supercomputer, name) if each in fleet.nodes):
            by_customer.setdefault(fleet.clusters[node.cluster].customer, set()).add(node.name)
        for customer, members in sorted(by_customer.items()):
            most = _most(judge.inputs.policy, customer)
            if len(members) > most:
                flies = f"{name} flies on {len(members):,} nodes of {customer} in {supercomputer}"
                sentence = f"{flies}, whose policy allows {most:,}."
                yield Violation(rule=CODE, sentence=sentence, nodes=tuple(sorted(members)))
    for supercomputer, names in flying.items():
        if len(names) > 1:
            told = " and ".join(names)
            yield Violation(rule=CODE, sentence=f"{told} fly in {supercomputer}: a supercomputer tries one at a time.")


def _most(policy: Policy, customer: CustomerId) -> int:
    found = policy.customers.get(customer)
    return found.flighting.max_nodes if found is not None else 0


class _Judge:
    """Flights judged by files alone: ledger, policy, inventory and the stages in the catalogue, never what it says of
    where they fly.
    """

    def __init__(self, inputs: PlanningInput) -> None:
        self.inputs = inputs
        self.flights = {u.id: u for u in inputs.catalogue.updates.values() if u.stage is Stage.FLIGHT_READY}
        self._decisions = Decisions(inputs.fleet, inputs.ledger or ())

    def flown_in(self, view: WindowReading) -> list[Update]:
        """The flights that a window has steps for."""
        named = {step.update for step in view.device_steps} | view.node_batches.keys()
        return [self.flights[name] for name in sorted(named) if name in self.flights]

    def running(self, supercomputer: SupercomputerId, name: UpdateId) -> set[NodeId]:
        """Nodes that were approved for a flight and run it already."""
        fleet, update = self.inputs.fleet, self.flights[name]
        if update.target != NODE_TARGET:
            return set()
        return {
            node.name
            for node in fleet.nodes.values()
            if fleet.clusters[node.cluster].supercomputer == supercomputer
            and node.versions.get(update.component) == update.to_version
            and self._is_approved(node, name)
        }

    def find_wrong(self, update: Update, names: frozenset[NodeId]) -> _Wrong | None:
        """The first rule that some of these nodes break, with all that break it."""
        fleet = self.inputs.fleet
        nodes = [fleet.nodes[name] for name in sorted(names) if name in fleet.nodes]
        for why, is_right in (
            ("nobody approved it on", self._is_approved),
            ("the policy tries none on nodes of the role of", self._has_role),
            ("another component is not qualified on", self._is_qualified),
        ):
            wrong = tuple(node.name for node in nodes if not is_right(node, update.id))
            if wrong:
                return _Wrong(nodes=wrong, why=f"{why} {some(wrong)}")
        return None

    def _is_approved(self, node: Node, name: UpdateId) -> bool:
        entry = self._decisions.is_approved(node, name)
        return entry is not None and entry.flight == name

    def _has_role(self, node: Node, _name: UpdateId) -> bool:
        customer = self.inputs.policy.customers.get(self.inputs.fleet.clusters[node.cluster].customer)
        return customer is not None and node.role in customer.flighting.allowed_roles

    def _is_qualified(self, node: Node, _name: UpdateId) -> bool:
        return all(self._is_known_good(node, component, version) for component, version in node.versions.items())

    def _is_known_good(self, node: Node, component: str, version: str) -> bool:
        """What a production-ready update brings, or what is not newer than such; without any, what no flight brings."""
        if not version:
            return False
        cluster = self.inputs.fleet.clusters[node.cluster]
        places: dict[int, list[Stage]] = {-1: [], 0: [], 1: []}
        for update in self.inputs.catalogue.updates.values():
            to = update.applies_to
            is_for = (not to.skus or cluster.sku in to.skus) and (not to.clusters or cluster.name in to.clusters)
            if update.target == NODE_TARGET and update.component == component and is_for:
                places[compare_versions(update.to_version, version)].append(update.stage)
        if places[0]:
            return Stage.PRODUCTION_READY in places[0]
        return Stage.PRODUCTION_READY in places[1] or Stage.PRODUCTION_READY not in places[-1]
