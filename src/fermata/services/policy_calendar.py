"""Which clusters of whom may be worked on when: what policies say of a kind of work, and the freezes that beat them."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fermata.domain.fleet import Cluster, Fleet, Node
from fermata.domain.ids import ClusterId, CustomerId
from fermata.domain.plans import Window
from fermata.domain.policy import (
    AfterDue,
    Customer,
    Exemption,
    Freeze,
    MaintenanceKind,
    Policy,
    PolicyRule,
    Ruling,
    Scope,
    ScopeLevel,
    Stance,
    Work,
)
from fermata.domain.recurrence import RecurringWindow, say_recurrence
from fermata.domain.updates import Criticality, Impact
from fermata.domain.windows import Interval
from fermata.services.words import span_words


class WorkKind(StrEnum):
    """Kinds of work that people ask about; policies may tell more apart."""

    REBOOT = "reboot"
    DRAIN = "drain"
    IMPACTLESS = "impactless"
    REPAIR = "repair"


_ASKED = {
    WorkKind.REBOOT: (MaintenanceKind.DEPLOYMENT, Impact.REBOOTFUL),
    WorkKind.DRAIN: (MaintenanceKind.DEPLOYMENT, Impact.IMPACTFUL),
    WorkKind.IMPACTLESS: (MaintenanceKind.DEPLOYMENT, Impact.IMPACTLESS),
    WorkKind.REPAIR: (MaintenanceKind.REPAIR, Impact.REBOOTFUL),
}
WORK_WORDS = {
    WorkKind.REBOOT: "an update with a reboot",
    WorkKind.DRAIN: "an update that needs a drain",
    WorkKind.IMPACTLESS: "an update that no workload feels",
    WorkKind.REPAIR: "a repair",
}
STANCE_WORDS = {
    Stance.BLOCK: "never, whatever was approved",
    Stance.NEEDS_APPROVAL: "once approved",
    Stance.ALLOW_IN_WINDOWS: "in these hours, unasked",
    Stance.ALLOW: "at any time, unasked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterDays:
    """One cluster over a time. `stances`: what policies say of the work on its nodes, the strictest first.
    `open_hours`: those of recurring windows that let it through. `freezes` of any of its nodes, with how many of them.
    `windows` of the plan in force.
    """

    cluster: ClusterId
    customer: CustomerId
    nodes: int
    stances: tuple[Stance, ...]
    open_hours: tuple[Interval, ...]
    freezes: tuple[tuple[Freeze, int], ...]
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeDays:
    """One freeze, what may pass it or waits for a second person, and the windows of the plan in force that it meets."""

    freeze: Freeze
    exemptions: tuple[Exemption, ...]
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerDays:
    """A customer's policy in sentences, and its clusters by name; `policy` None: it has none, so all is asked for."""

    customer: CustomerId
    policy: Customer | None
    rules: tuple[str, ...]
    clusters: tuple[ClusterDays, ...]


def list_customers(
    fleet: Fleet,
    policy: Policy,
    windows: Iterable[Window],
    *,
    kind: WorkKind,
    span: Interval,
    only: Collection[ClusterId] | None = None,
) -> tuple[CustomerDays, ...]:
    """Customers by name, over `span`, with all their clusters that have nodes, or those of `only`."""
    of_cluster: dict[ClusterId, list[Window]] = {}
    for window in windows:
        if Interval(window.start, window.end).overlaps(span):
            of_cluster.setdefault(window.cluster, []).append(window)
    found: dict[CustomerId, list[ClusterDays]] = {}
    for name in sorted(fleet.clusters if only is None else only):
        cluster, nodes = fleet.clusters[name], fleet.nodes_by_cluster.get(name, ())
        if nodes:
            days = _cluster_days(cluster, nodes, policy, of_cluster.get(name, ()), kind, span)
            found.setdefault(cluster.customer, []).append(days)
    return tuple(
        CustomerDays(
            customer=name,
            policy=policy.customers.get(name),
            rules=tuple(say_policy(policy.customers.get(name))),
            clusters=tuple(found[name]),
        )
        for name in sorted(found)
    )


def _cluster_days(
    cluster: Cluster,
    nodes: Sequence[Node],
    policy: Policy,
    windows: Sequence[Window],
    kind: WorkKind,
    span: Interval,
) -> ClusterDays:
    rulings = set(_rulings(cluster, nodes, policy, kind))
    order = list(Stance)
    hours = {
        interval
        for ruling in rulings
        if ruling.stance is Stance.ALLOW_IN_WINDOWS
        for window in ruling.windows
        for interval in window.intervals(span.start, span.end)
    }
    frozen = [f for f in policy.freezes if Interval(f.start, f.end).overlaps(span)]
    counted = [(f, _count_covered(f.scope, nodes, cluster)) for f in frozen]
    return ClusterDays(
        cluster=cluster.name,
        customer=cluster.customer,
        nodes=len(nodes),
        stances=tuple(sorted({ruling.stance for ruling in rulings}, key=order.index)),
        open_hours=tuple(sorted(hours)),
        freezes=tuple((freeze, count) for freeze, count in counted if count),
        windows=tuple(windows),
    )


def _count_covered(scope: Scope, nodes: Sequence[Node], cluster: Cluster) -> int:
    if scope.level in (ScopeLevel.SUPERCOMPUTER, ScopeLevel.CLUSTER):
        return len(nodes) if scope.covers(nodes[0], cluster) else 0  # one speaks for all
    return sum(scope.covers(node, cluster) for node in nodes)


def _rulings(cluster: Cluster, nodes: Sequence[Node], policy: Policy, kind: WorkKind) -> Iterator[Ruling]:
    """What is said of the nodes, asked once for those that no rule tells apart."""
    of_customer = policy.customers.get(cluster.customer)
    narrow = of_customer is not None and any(rule.scope is not None for rule in of_customer.rules)
    asked: dict[object, Node] = {}
    for node in nodes:
        asked.setdefault(node.name if narrow else node.role, node)
    maintenance, impact = _ASKED[kind]
    for node in asked.values():
        yield policy.judge(
            Work(kind=maintenance, impact=impact, criticality=Criticality.REGULAR, node=node, cluster=cluster)
        )


def list_freezes(fleet: Fleet, policy: Policy, windows: Sequence[Window], now: datetime) -> tuple[FreezeDays, ...]:
    """Those that are not over, by when they begin, each with the windows whose nodes it would hold."""
    lasting = sorted((f for f in policy.freezes if f.end > now), key=lambda freeze: (freeze.start, freeze.id))
    return tuple(
        FreezeDays(
            freeze=freeze,
            exemptions=tuple(e for e in policy.exemptions if e.freeze == freeze.id),
            windows=tuple(w for w in windows if _meets(freeze, w, fleet, now)),
        )
        for freeze in lasting
    )


def _meets(freeze: Freeze, window: Window, fleet: Fleet, now: datetime) -> bool:
    if window.end <= max(now, freeze.start) or window.start >= freeze.end or window.cluster not in fleet.clusters:
        return False
    nodes = [fleet.nodes[name] for name in window.nodes if name in fleet.nodes]
    return freeze.scope.covers_any(nodes, fleet.clusters[window.cluster])


def say_policy(customer: Customer | None) -> Iterator[str]:
    """A customer's policy, a sentence for each rule, then what holds where none fits."""
    if customer is None:
        yield "No policy is on record: everything needs an approval."
        return
    for rule in customer.rules:
        yield f"{_say_conditions(rule)}: {_say_stance(rule, customer.windows)} (rule {rule.id})."
    if customer.except_criticality:
        names = ", ".join(sorted(each.replace("_", " ") for each in customer.except_criticality))
        yield f"Work that is {names}: {STANCE_WORDS[Stance.ALLOW]}; it may pass a freeze if two people say so."
    for kind, blocked in (("Updates", customer.deployments), ("Repairs", customer.repairs)):
        what = {"all": "need an approval", "none": "need no approval"}.get(
            blocked, "need an approval if a workload feels them"
        )
        yield f"{kind} otherwise {what}."
    then = "goes on by itself" if customer.after_due is AfterDue.PROCEED else "is escalated"
    yield f"Work that nobody approved by its due date {then}."


def _say_conditions(rule: PolicyRule) -> str:
    parts = [*sorted(rule.criticalities), *sorted(rule.impacts), *sorted(rule.kinds)]
    text = " ".join(part.replace("_", " ") for part in parts) or "any work"
    text += f" on {'/'.join(sorted(rule.roles))} nodes" if rule.roles else ""
    text += f" in {rule.scope}" if rule.scope is not None else ""
    return text[0].upper() + text[1:]


def _say_stance(rule: PolicyRule, windows: Iterable[RecurringWindow]) -> str:
    if rule.stance is not Stance.ALLOW_IN_WINDOWS:
        return STANCE_WORDS[rule.stance]
    told = [say_window(window) for window in windows if not rule.windows or window.id in rule.windows]
    return f"unasked in {'; '.join(told)}" if told else "unasked in windows, of which there is none"


def say_window(window: RecurringWindow) -> str:
    """A recurring window: `nights (Week Saturday,Sunday from 22:00 for 8 h 00, Europe/London)`."""
    again = say_recurrence(window.recurrence)
    return f"{window.id} ({again} from {window.start:%H:%M} for {span_words(window.duration)}, {window.zone})"
