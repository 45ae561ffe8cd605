"""Blocked by default: which nodes consent covers for which updates and when, and what is missing otherwise."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from fermata.domain.allowances import Allowance
from fermata.domain.fleet import Cluster, Fleet, Node, Place, place_of
from fermata.domain.hearing import Desk, Heard, NodeSaid
from fermata.domain.ids import ClusterId, DeviceId, NodeId
from fermata.domain.ledger import Decisions, nodes_in, say_missing
from fermata.domain.pending import FleetPending
from fermata.domain.policy import ConsentEntry, Policy
from fermata.domain.reasons import Code, Reason, reason

_NAME_OF: Callable[[Node], NodeId] = attrgetter("name")
DRAINING = 0  # whatever is due: no value in memory is known by it


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What may be touched, and when.

    `gaps`: every node with work whose consent is missing, with the reason; nodes that consent covers are absent.
    `times`: nodes that may be taken at some times only, those of every allowance; others may be at any time.
    `companions`: nodes that may be taken only in a window that takes all of these others, too.
    """

    gaps: Mapping[NodeId, Reason]
    times: Mapping[NodeId, frozenset[Allowance]]
    companions: Mapping[NodeId, frozenset[NodeId]]


def find_consent(fleet: Fleet, policy: Policy, pending: FleetPending, ledger: tuple[ConsentEntry, ...]) -> Consent:
    """Consent to all that is due.

    A node is covered when each due item of its own, and of each draining device it hangs on, is let through by its
    customer's policy or by the last ledger entry that holds the node and speaks of the item, and when all nodes behind
    those devices are covered too, and all that were to go with it. Impactless work on a device keeps nodes from nothing
    (`device_gaps`), but what goes together goes at a time that is allowed for all of it.
    """
    desk = Desk(fleet, policy, pending, Decisions(fleet, ledger))
    return hear_nodes(desk, desk.say_all())


def consent_gaps(
    fleet: Fleet, policy: Policy, pending: FleetPending, ledger: tuple[ConsentEntry, ...]
) -> Mapping[NodeId, Reason]:
    """The gaps of `find_consent`."""
    return find_consent(fleet, policy, pending, ledger).gaps


def device_gaps(
    fleet: Fleet,
    policy: Policy,
    pending: FleetPending,
    ledger: tuple[ConsentEntry, ...],
    consent: Consent | None = None,
) -> Mapping[DeviceId, Reason]:
    """Every shared device with due work that may not be touched yet, with the reason. `consent`: what `find_consent`
    says of the same, if it was asked.

    Draining work waits until every node behind the device is covered entirely. Impactless work needs only its own
    updates let through on each node behind it, and its waiting does not keep those nodes from their own work.
    """
    desk = Desk(fleet, policy, pending, Decisions(fleet, ledger))
    gaps = (consent or hear_nodes(desk, desk.say_all())).gaps
    return hear_devices(desk, gaps, pending.devices)


def hear_devices(desk: Desk, gaps: Mapping[NodeId, Reason], names: Iterable[DeviceId]) -> Mapping[DeviceId, Reason]:
    """As `device_gaps`, of these devices. `gaps`: of the nodes behind them."""
    found: dict[DeviceId, Reason] = {}
    lacks: dict[tuple[Place, int], list[NodeId]] = {}  # the same of all devices at a place of which the same is due
    units = {id(unit): unit for unit in desk.pending.devices.values()}
    drains = {key: unit.drains for key, unit in units.items()}
    for name in sorted(names):
        unit = desk.pending.devices.get(name)
        if unit is None or not unit.due:
            continue
        place = place_of(desk.fleet.devices[name])
        key = (place, DRAINING if drains[id(unit)] else id(unit))
        lacking = lacks.get(key)
        if lacking is None:
            behind = desk.fleet.nodes_at(place)
            if drains[id(unit)]:
                lacking = [node.name for node in behind if node.name in gaps]
            else:
                lacking = [node.name for node in behind if desk.hear(node, desk.due(unit)).is_lacking]
            lacks[key] = lacking
        if lacking:
            found[name] = _shared(name, lacking)
    return found


def hear_nodes(desk: Desk, said: Mapping[NodeId, NodeSaid]) -> Consent:
    """As `find_consent`, of all that `desk` was opened with. `said`: by `Desk.say_all`."""
    fleet = desk.fleet
    heard = {name: each.heard for name, each in said.items() if each.heard is not None}
    gaps = _own_gaps(fleet, heard)
    tied = _find_companions(desk, heard) if desk.decided.companions else ()
    found = gaps | _spread(gaps, heard, desk)
    while fresh := _missing_companions(tied, found):
        found |= fresh
        found |= _spread(found, heard, desk)
    companions: dict[NodeId, frozenset[NodeId]] = {}
    for tie in tied:
        for name in tie.nodes:
            companions[name] = companions.get(name, frozenset()) | tie.others
    return Consent(
        gaps=found, times={n: each.allowances for n, each in said.items() if each.allowances}, companions=companions
    )


@dataclass(frozen=True, kw_only=True)
class _Tie:
    """`nodes` go only with all of `others`, as `entry` says."""

    entry: ConsentEntry
    nodes: tuple[NodeId, ...]
    others: frozenset[NodeId]


def _find_companions(desk: Desk, heard: Mapping[NodeId, Heard]) -> tuple[_Tie, ...]:
    by_entry: dict[int, list[NodeId]] = defaultdict(list)
    entries: dict[int, ConsentEntry] = {}
    for name in sorted(heard):
        for entry in heard[name].entries:
            if entry.conditions.with_scope is not None:
                entries[entry.seq] = entry
                by_entry[entry.seq].append(name)
    return tuple(
        _Tie(
            entry=entry,
            nodes=tuple(by_entry[seq]),
            others=frozenset(
                node.name
                for node in nodes_in(desk.fleet, entry.conditions.with_scope, entry.request)
                if node.name in heard
            ),
        )
        for seq, entry in sorted(entries.items())
        if entry.conditions.with_scope is not None
    )


def _missing_companions(ties: Iterable[_Tie], gaps: Mapping[NodeId, Reason]) -> dict[NodeId, Reason]:
    """Nodes without a gap that wait for others which have one."""
    found: dict[NodeId, Reason] = {}
    for tie in ties:
        lacking = sorted(name for name in tie.others if name in gaps)
        waiting = [name for name in tie.nodes if name not in gaps] if lacking else []
        if waiting:
            why = reason(
                Code.COMPANIONS_MISSING,
                actor=tie.entry.actor,
                scope=tie.entry.scope,
                other=tie.entry.conditions.with_scope,
                nodes=len(lacking),
                example=lacking[0],
            )
            found.update((name, why) for name in waiting)
    return found


def _own_gaps(fleet: Fleet, heard: Mapping[NodeId, Heard]) -> dict[NodeId, Reason]:
    """Nodes of a cluster that lack something for the same cause share one sentence, which names all that they lack."""
    kinds: dict[tuple[ClusterId, int], list[NodeId]] = defaultdict(list)  # many nodes share what was heard
    for name in sorted(heard):
        kinds[fleet.nodes[name].cluster, id(heard[name])].append(name)
    groups: dict[tuple[ClusterId, int | None], list[list[NodeId]]] = defaultdict(list)
    gaps: dict[NodeId, Reason] = {}
    for (cluster, _), names in kinds.items():
        said = heard[names[0]]
        if said.blocked:
            gaps.update(dict.fromkeys(names, _say_blocked(fleet.clusters[cluster], said)))
        elif said.untold and not said.missing:
            gaps.update(dict.fromkeys(names, _say_untold(fleet.clusters[cluster], said)))
        elif said.missing:
            groups[cluster, said.cause.seq if said.cause else None].append(names)
    for lacking in groups.values():
        missing = {update for names in lacking for update in heard[names[0]].missing}
        first = min(names[0] for names in lacking)
        why = say_missing(fleet, fleet.nodes[first], missing, heard[first].cause)
        for names in lacking:
            gaps.update(dict.fromkeys(names, why))
    return gaps


def _say_blocked(cluster: Cluster, said: Heard) -> Reason:
    updates = ", ".join(update for update, _ in said.blocked)
    rules = ", ".join(sorted({rule for _, rule in said.blocked}))
    return reason(Code.POLICY_BLOCKS, customer=cluster.customer, rules=rules, updates=updates, cluster=cluster.name)


def _say_untold(cluster: Cluster, said: Heard) -> Reason:
    customer, updates = cluster.customer, ", ".join(said.untold)
    return reason(Code.NOTICE_NOT_DELIVERED, customer=customer, updates=updates, cluster=cluster.name)


def _devices_of_mixed(
    gaps: Mapping[NodeId, Reason], behind: Mapping[DeviceId, tuple[Node, ...]]
) -> Mapping[NodeId, list[DeviceId]]:
    """By node, its devices behind which some nodes lack nothing: of those at one place the first, since the same nodes
    stand behind all of them.
    """
    first: dict[int, DeviceId] = {}
    for device, nodes in behind.items():
        first.setdefault(id(nodes), device)
    found: dict[NodeId, list[DeviceId]] = defaultdict(list)
    for device in first.values():
        names = list(map(_NAME_OF, behind[device]))
        if not all(map(gaps.__contains__, names)):
            for name in names:
                found[name].append(device)
    return found


def _spread(gaps: Mapping[NodeId, Reason], heard: Mapping[NodeId, Heard], desk: Desk) -> dict[NodeId, Reason]:
    """The covered nodes that wait for others behind a device they share, however many devices away those are. `heard`:
    all nodes with work, and so all behind such a device.
    """
    if len(gaps) in (0, len(heard)):
        return {}
    behind = desk.behind
    devices_of = _devices_of_mixed(gaps, behind)
    waiting: dict[NodeId, Reason] = {}
    asked: set[DeviceId] = set()
    queue = deque(sorted(devices_of.keys() & gaps.keys()))
    while queue:
        for device in devices_of[queue.popleft()]:
            if device in asked:
                continue
            asked.add(device)
            names = list(map(_NAME_OF, behind[device]))
            fresh = [name for name in names if name not in gaps and name not in waiting]
            if fresh:
                lacking = [name for name in names if name in gaps or name in waiting]
                waiting.update(dict.fromkeys(fresh, _shared(device, lacking)))
                queue.extend(fresh)
    return waiting


def _shared(device: DeviceId, lacking: list[NodeId]) -> Reason:
    return reason(Code.SHARED_DEVICE_UNAPPROVED, device=device, nodes=len(lacking), example=lacking[0])
