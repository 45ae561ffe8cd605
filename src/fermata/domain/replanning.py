"""What a re-plan may not touch: which windows of the parent plan ran, which are too near to move, what moving costs.

Planner and checker both go by this; neither decides it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fermata.domain.fleet import Cluster, Device, Fleet, Node
from fermata.domain.ids import ClusterId, DeviceId, NodeId, WindowId
from fermata.domain.ledger import Decisions
from fermata.domain.observed import NOTHING_SEEN, RAN, Fate, Observed, WindowSeen
from fermata.domain.pending import FleetPending
from fermata.domain.plans import DeviceApplyStep, Plan, Unplanned, Window
from fermata.domain.policy import ConsentEntry, Policy, Verdict
from fermata.domain.reasons import Code, Reason
from fermata.domain.updates import Update

# A published window that moves costs WEIGHT_TODAY if it was for today and a tenth less for every day it lies ahead:
# weights that fall geometrically with the distance are the usual measure of a schedule's nervousness (Sridharan,
# Berry and Udayabhanu 1988, "Measuring master production schedule stability under rolling planning horizons").
WEIGHT_TODAY = 100  # whole numbers, for the solver; a plan states them as 1.00
WEIGHT_KEPT_A_DAY = 0.9  # a week ahead costs half, four weeks ahead a twentieth
WEIGHT_LEAST = 1  # however far ahead, staying is better than moving for nothing
MOVED_TERM = "moved_windows"
BROKEN_TERM = "broken_promises"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The parent's windows, each in the order of the plan, by what may still happen to them.

    history: those that ran or are running, without the nodes that they did not service. They stay as they are.
    lapsed: those that did not run, or were called off. Nobody was promised anything by them any more.
    held: those that start within the notice. They stay at their time, or their nodes need a new consent.
    movable: all later ones.
    `ran`: all that took any node, `running`: which of them are open. `again`: nodes that a window of the history left.
    """

    history: tuple[Window, ...] = ()
    lapsed: tuple[Window, ...] = ()
    held: tuple[Window, ...] = ()
    movable: tuple[Window, ...] = ()
    ran: frozenset[WindowId] = frozenset()
    running: frozenset[WindowId] = frozenset()
    again: frozenset[NodeId] = frozenset()
    seen: Mapping[WindowId, WindowSeen] = field(default_factory=dict, hash=False)

    @property
    def published(self) -> tuple[Window, ...]:
        """Windows whose time somebody still counts on."""
        return (*self.held, *self.movable)


NO_PARENT = Standing()


def lead_time(policy: Policy) -> timedelta:
    """How long before it starts a window's time is settled: the shortest notice that the policy promises for anything.

    A new time is never told later than that, and an old one nearer than that is not taken back without a new consent.
    """
    notice = policy.notice
    kinds = (notice.regular_update, notice.regular_hardware, notice.critical_repair, notice.critical_update)
    return timedelta(days=min(kinds))


def move_weight(start: datetime, now: datetime) -> int:
    """What moving a window published for `start` costs at `now`, in hundredths of one that was for today."""
    days_ahead = max(0, (start - now) // timedelta(days=1))
    return max(WEIGHT_LEAST, round(WEIGHT_TODAY * WEIGHT_KEPT_A_DAY**days_ahead))


def find_standing(
    parent: Plan, observed: Observed | None, fleet: Fleet, due: FleetPending, *, now: datetime, lead: timedelta
) -> Standing:
    """Sorts the parent's windows. What has begun and was not observed counts as having run as planned.

    `due`: what is pending on `fleet`.
    """
    told = observed if observed is not None else NOTHING_SEEN
    seen = {window.window: window for window in told.windows}
    fates = {window.id: _fate(window, seen.get(window.id), now) for window in parent.windows}
    ran = [window for window in parent.windows if fates[window.id] in RAN]
    running = frozenset(window.id for window in ran if fates[window.id] is Fate.RUNNING)
    again = _find_again([w for w in ran if w.id not in running], told, seen, due) | _left_by(ran, seen)
    again = _with_ties(again, ran, fleet, due)
    trimmed = (replace(w, nodes=tuple(n for n in w.nodes if n not in again)) for w in ran)
    ahead = [window for window in parent.windows if fates[window.id] is None]
    return Standing(
        history=tuple(window for window in trimmed if window.nodes),
        lapsed=tuple(w for w in parent.windows if fates[w.id] in (Fate.MISSED, Fate.CANCELLED)),
        held=tuple(window for window in ahead if window.start < now + lead),
        movable=tuple(window for window in ahead if window.start >= now + lead),
        ran=frozenset(window.id for window in ran),
        running=running,
        again=again,
        seen=seen,
    )


def _fate(window: Window, seen: WindowSeen | None, now: datetime) -> Fate | None:
    """None: its time has not come."""
    if seen is not None:
        return seen.fate
    if window.start >= now:
        return None
    return Fate.DONE if window.end <= now else Fate.RUNNING


def _left_by(ran: Iterable[Window], seen: Mapping[WindowId, WindowSeen]) -> frozenset[NodeId]:
    """Nodes that their window was seen to leave as they were."""
    return frozenset(name for w in ran if w.id in seen for name in seen[w.id].again if name in w.nodes)


def _find_again(
    over: Iterable[Window], told: Observed, seen: Mapping[WindowId, WindowSeen], due: FleetPending
) -> frozenset[NodeId]:
    """Nodes of windows that are over which were repaired without it, or on which something else became due since."""
    found: set[NodeId] = set()
    for window in over:
        tail = {item.node for item in seen[window.id].tail} if window.id in seen else set()
        brought = frozenset(window.updates)
        for name in window.nodes:
            left = due.nodes[name].due if name in due.nodes and name not in tail else ()
            if name in told.repaired or any(item.update.id not in brought for item in left):
                found.add(name)
    return frozenset(found)


def _with_ties(again: frozenset[NodeId], ran: Iterable[Window], fleet: Fleet, due: FleetPending) -> frozenset[NodeId]:
    """`again` and the nodes behind shared devices that needed all of them out, and so were left as well."""
    ties = [tied for window in ran for tied in _ties(window, fleet, due)] if again else []
    before = -1
    while before != len(again):
        before = len(again)
        for tied in ties:
            if not again.isdisjoint(tied):
                again |= tied
    return again


def _ties(window: Window, fleet: Fleet, due: FleetPending) -> Iterable[frozenset[NodeId]]:
    """Which nodes of the window were out together for a device on which that work is still due."""
    taken = frozenset(window.nodes)
    for step in (step for step in window.steps if isinstance(step, DeviceApplyStep)):
        for name in step.devices:
            pending = due.devices[name].due if name in due.devices else ()
            if any(item.update.id == step.update and item.update.needs_drain for item in pending):
                yield taken.intersection(node.name for node in fleet.nodes_behind(fleet.devices[name]))


def advance_fleet(fleet: Fleet, standing: Standing, due: FleetPending, observed: Observed | None) -> Fleet:
    """The fleet as if every window of the history had ended well, so that nothing it takes care of is due any more.

    An inventory that says so already comes back as it is. `due`: what is pending on `fleet`.
    """
    nodes: dict[NodeId, Node] = {}
    devices: dict[DeviceId, Device] = {}
    for window in standing.history:
        updates = frozenset(window.updates)
        for name in window.nodes:
            done = [x.update for x in due.nodes[name].due if x.update.id in updates] if name in due.nodes else []
            if done:
                brought = {update.component: update.to_version for update in done}
                nodes[name] = replace(fleet.nodes[name], versions={**fleet.nodes[name].versions, **brought})
        if window.id in standing.running or observed is None or not observed.in_inventory:
            devices.update(_advance_devices(window, fleet, due, standing))
    if not nodes and not devices:
        return fleet
    return Fleet(clusters=fleet.clusters, nodes={**fleet.nodes, **nodes}, devices={**fleet.devices, **devices})


def _advance_devices(window: Window, fleet: Fleet, due: FleetPending, standing: Standing) -> Mapping[DeviceId, Device]:
    found: dict[DeviceId, Device] = {}
    for step in window.steps:
        if not isinstance(step, DeviceApplyStep):
            continue
        for name in step.devices:
            for item in due.devices[name].due if name in due.devices else ():
                device = fleet.devices[name]
                left = item.update.needs_drain and any(n.name in standing.again for n in fleet.nodes_behind(device))
                if item.update.id == step.update and not left:
                    found[name] = replace(device, version=item.update.to_version)
    return found


def weigh_moves(standing: Standing, plan: Iterable[Window], *, now: datetime) -> int:
    """What the moved windows cost together, in hundredths: published ones of which a node now starts at another time.

    Nodes that no window takes any more do not count: why is told with them.
    """
    starts = {name: window.start for window in plan for name in window.nodes}
    return sum(
        move_weight(window.start, now)
        for window in standing.movable
        if any(starts.get(name, window.start) != window.start for name in window.nodes)
    )


def count_broken(standing: Standing, plan: Iterable[Window], unplanned: Iterable[Unplanned]) -> int:
    """Node-days promised within the notice that are not kept: nodes that now go at another time, where nobody has to
    be asked, or that wait for a new consent. Nodes that left the campaign, or have nothing due, were not let down.
    """
    promised = {name: window.start for window in standing.held for name in window.nodes}
    moved = sum(1 for w in plan for name in w.nodes if promised.get(name, w.start) != w.start)
    waiting = (group for group in unplanned if group.reason.code is Code.CONSENT_AGAIN)
    return moved + sum(1 for group in waiting for name in group.nodes if name in promised)


def needs_asking(policy: Policy, node: Node, cluster: Cluster, updates: Iterable[Update]) -> bool:
    """True when somebody has to consent to the work: without that, a lost promise is told but not asked about."""
    return any(policy.needs_asking(update, node, cluster) for update in updates)


def waiting_nodes(
    fleet: Fleet,
    policy: Policy,
    pending: FleetPending,
    parent: Plan | None,
    ledger: tuple[ConsentEntry, ...] | None,
) -> Mapping[NodeId, Reason]:
    """Nodes that the parent left waiting for a new consent, given by an approval after it was made, and not there yet,
    with the parent's reason. A draft assumes every consent. `pending`: what is due on `fleet`.
    """
    if parent is None or ledger is None:
        return {}
    groups = [group for group in parent.unplanned if group.reason.code is Code.CONSENT_AGAIN]
    told = {name: group.reason for group in groups for name in group.nodes if name in pending.nodes}
    decided = Decisions(fleet, ledger)
    found: dict[NodeId, Reason] = {}
    for name, why in told.items():
        node = fleet.nodes[name]
        updates = [item.update for item in pending.nodes[name].due]
        words = [decided.deciding(node, update.id) for update in updates]
        is_given = all(word and word.verdict is Verdict.APPROVED and word.at > parent.created_at for word in words)
        if not is_given and needs_asking(policy, node, fleet.clusters[node.cluster], updates):
            found[name] = why
    return found


def served_nodes(standing: Standing) -> Mapping[ClusterId, frozenset[NodeId]]:
    """By cluster, the nodes that windows of the history took: they count when shares of a cluster are taken."""
    found: dict[ClusterId, set[NodeId]] = {}
    for window in standing.history:
        found.setdefault(window.cluster, set()).update(window.nodes)
    return {cluster: frozenset(names) for cluster, names in found.items()}
