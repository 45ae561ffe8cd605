"""What policy, approvals and freezes would say of one update on one node at one time, without anything being done."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from fermata.domain.allowances import Allowance, covers, find_next
from fermata.domain.closures import say_frozen, say_outside
from fermata.domain.consent import device_gaps, find_consent
from fermata.domain.fleet import Fleet, Node
from fermata.domain.ids import DeviceId, NodeId, UpdateId
from fermata.domain.ledger import Decisions, approves, say_given
from fermata.domain.pending import Due, FleetPending, UnitPending
from fermata.domain.policy import NO_POLICY, ConsentEntry, Freeze, Policy, Ruling, Stance
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.updates import NODE_TARGET, Stage, Update
from fermata.domain.windows import Interval

INSTANT = timedelta(minutes=1)  # what is asked about is a moment; how long a window takes is the planner's matter
FREEZES_MOST = 1_000  # looked past for the next time at which work is allowed


class Outcome(StrEnum):
    """What would happen."""

    ALLOWED = "allowed"
    WAITS = "waits"  # for a freeze to end, a window to open or the due date to come
    NEEDS_APPROVAL = "needs_approval"
    BLOCKED = "blocked"
    NOT_THERE = "not_there"  # the node has nothing that the update is for


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The answer. `rule` decided and says `stance`; `why` says what else counts, what holds the work first.

    `due_at` is its due date (NotBefore). `next_at`: when work would be allowed, as things stand now, at or after `at`;
    None when no passing of time alone would do. Times are UTC.
    """

    node: NodeId
    update: UpdateId
    at: datetime
    outcome: Outcome
    stance: Stance
    rule: str
    why: tuple[Reason, ...]
    due_at: datetime
    next_at: datetime | None


def try_policy(
    fleet: Fleet,
    policy: Policy,
    ledger: tuple[ConsentEntry, ...],
    *,
    node: Node,
    update: Update,
    at: datetime,
) -> Trial:
    """Tries `update` on `node` as if it were due there, and on the shared devices it hangs on where it is for those."""
    why: list[Reason | None]
    ruling = policy.judge_update(update, node, fleet.clusters[node.cluster])
    pending, concerned = _as_if_due(fleet, node, update)
    beside = (entry.conditions.with_updates for entry in ledger)  # what was asked for with it would come along
    pending = replace(pending, asked=frozenset[UpdateId]().union(*beside))
    next_at = None
    if not pending.nodes and not pending.devices:
        outcome = Outcome.NOT_THERE
        why = [reason(Code.TARGET_MISSING, node=node.name, target=update.target, update=update.id)]
    elif update.stage is not Stage.PRODUCTION_READY and not _is_approved(fleet, ledger, node, update):
        outcome = Outcome.BLOCKED
        why = [reason(Code.NOT_PRODUCTION_READY, update=update.id, stage=update.stage)]
    else:
        lacking, times = _hear(fleet, policy, pending, ledger, concerned)
        freezes = _freezes_on(fleet, policy, update, concerned)
        why = [say_frozen(freeze) for freeze in freezes if freeze.start <= at < freeze.end]
        why.extend(lacking)
        if lacking:
            is_blocked = any(each.code is Code.POLICY_BLOCKS for each in lacking)
            outcome = Outcome.BLOCKED if is_blocked else Outcome.NEEDS_APPROVAL
        else:
            next_at = _find_open(times, freezes, at)
            outcome = Outcome.ALLOWED if next_at == at else Outcome.WAITS
            why.append(_say_when(fleet, node, times, at))
            why.append(_say_allowed(fleet, ledger, ruling, node, update))
    return Trial(
        node=node.name,
        update=update.id,
        at=at,
        outcome=outcome,
        stance=ruling.stance,
        rule=ruling.rule,
        why=tuple(each for each in why if each is not None),
        due_at=policy.due_at(update),
        next_at=next_at,
    )


def _is_approved(fleet: Fleet, ledger: tuple[ConsentEntry, ...], node: Node, flight: Update) -> bool:
    """True when somebody agreed to try it there."""
    entry = Decisions(fleet, ledger).is_approved(node, flight.id)
    return entry is not None and entry.flight == flight.id


def _hear(
    fleet: Fleet,
    policy: Policy,
    pending: FleetPending,
    ledger: tuple[ConsentEntry, ...],
    concerned: tuple[NodeId, ...],
) -> tuple[list[Reason], frozenset[Allowance]]:
    """What consent lacks on any node concerned, or on a device that drains nothing; and when it may be otherwise."""
    consent = find_consent(fleet, policy, pending, ledger)
    lacking = [consent.gaps[name] for name in concerned if name in consent.gaps]
    lacking.extend(device_gaps(fleet, policy, pending, ledger).values() if not lacking else ())
    times = frozenset[Allowance]().union(*(consent.times.get(name, frozenset()) for name in concerned))
    return list(dict.fromkeys(lacking)), times


def _as_if_due(fleet: Fleet, node: Node, update: Update) -> tuple[FleetPending, tuple[NodeId, ...]]:
    """The update due there and nothing else, and every node that the work would concern, this one first."""
    if update.target == NODE_TARGET:
        unit = UnitPending(due=(Due(update=update, from_version=node.versions.get(update.component, "")),))
        return FleetPending(nodes={node.name: unit}, devices={}), (node.name,)
    devices = [d for d in fleet.devices_of(node) if d.kind == update.target and d.component == update.component]
    found: Mapping[DeviceId, UnitPending] = {
        device.name: UnitPending(due=(Due(update=update, from_version=device.version),)) for device in devices
    }
    behind = {other.name for device in devices for other in fleet.nodes_behind(device)}
    return FleetPending(nodes={}, devices=found), (node.name, *sorted(behind - {node.name}))


def _freezes_on(fleet: Fleet, policy: Policy, update: Update, names: tuple[NodeId, ...]) -> list[Freeze]:
    """Freezes of any of these nodes, but for those it is exempt from, in order of time. Work that no workload feels
    goes on in a freeze.
    """
    if not update.needs_drain:
        return []
    nodes = [fleet.nodes[name] for name in names]
    found = [
        freeze
        for freeze in policy.freezes
        if not policy.is_exempt(freeze, update)
        and any(freeze.scope.covers(node, fleet.clusters[node.cluster]) for node in nodes)
    ]
    return sorted(found, key=lambda freeze: (freeze.start, freeze.id))


def _find_open(times: frozenset[Allowance], freezes: list[Freeze], at: datetime) -> datetime | None:
    """The first instant at or after `at` that the allowances open and no freeze closes."""
    instant = at
    for _ in range(FREEZES_MOST):
        found = find_next(times, instant, INSTANT)
        if found is None:
            return None
        instant = found.start
        ends = [freeze.end for freeze in freezes if freeze.start <= instant < freeze.end]
        if not ends:
            return instant
        instant = max(ends)
    return None


def _say_when(fleet: Fleet, node: Node, times: frozenset[Allowance], at: datetime) -> Reason | None:
    """None when the allowances are open at `at`."""
    if covers(times, Interval(at, at + INSTANT)):
        return None
    customer = fleet.clusters[node.cluster].customer
    return say_outside(times, customer, f"node {node.name}", after=at, length=INSTANT)


def _say_allowed(fleet: Fleet, ledger: tuple[ConsentEntry, ...], ruling: Ruling, node: Node, update: Update) -> Reason:
    entry = Decisions(fleet, ledger).deciding(node, update.id) if ruling.stance is not Stance.ALLOW else None
    if entry is not None and approves(entry, update.id):
        return say_given(entry)
    if entry is not None and entry.until is not None:
        until = f"{entry.until:%Y-%m-%d %H:%MZ}"
        return reason(Code.DECLINE_OVER, actor=entry.actor, scope=entry.scope, until=until, why=entry.reason)
    customer = fleet.clusters[node.cluster].customer
    assert ruling.rule != NO_POLICY, "without a policy nothing is let through"
    return reason(Code.POLICY_ALLOWS, rule=ruling.rule, customer=customer, update=update.id, node=node.name)
