"""The ledger of consent asked by node and update: of the entries that hold a node and speak of an update, the last."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fermata.domain.allowances import Allowance
from fermata.domain.fleet import Cluster, Fleet, Node, Place, places_of
from fermata.domain.ids import ClusterId, NodeId, RequestId, UpdateId
from fermata.domain.plan_codes import PlanCode
from fermata.domain.policy import AfterDue, Conditions, ConsentEntry, Scope, ScopeLevel, Verdict
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.requests import request_id

_Key = tuple[str, ...]
_SUPERCOMPUTER, _CLUSTER, _GROUP, _RACK, _NODE = map(str, ScopeLevel)  # plain: millions are looked up


@dataclass(slots=True)
class _Spoken:
    """What was said of one scope: the last word on all of it, and those on parts that may still count."""

    whole: ConsentEntry | None = None
    parts: list[ConsentEntry] = field(default_factory=list)


class Decisions:
    """Who decided what, node by node.

    `asks_together`: some entry holds only with other updates. `companions`: entries that hold only with other nodes.
    `narrow`: nodes and racks of which something was said by their name, and clusters where that was of a group: of all
    others what was said of their cluster holds. `last`: the newest entry.
    """

    def __init__(self, fleet: Fleet, ledger: Iterable[ConsentEntry]) -> None:
        self._fleet = fleet
        self._said: dict[_Key, _Spoken] = {}
        self._flights: set[UpdateId] = set()
        self._has_parts = self._has_groups = False
        self.asks_together = False
        self.companions: list[ConsentEntry] = []
        self.narrow: set[str] = set()
        self.last = 0
        self._around: dict[ClusterId, tuple[_Key, _Key, RequestId]] = {}
        for entry in sorted(ledger, key=lambda entry: entry.seq):
            self.add(entry)

    def add(self, entry: ConsentEntry) -> None:
        """Takes in a newer entry than all before."""
        if entry.flight is not None:
            self._flights.add(entry.flight)
        self._has_groups = self._has_groups or entry.scope.level is ScopeLevel.GROUP
        self.asks_together = self.asks_together or bool(entry.conditions.with_updates)
        if entry.conditions.with_scope is not None:
            self.companions.append(entry)
        self.last = entry.seq
        if entry.scope.level in (ScopeLevel.NODE, ScopeLevel.RACK):
            self.narrow.add(entry.scope.name)
        elif entry.place is not None:
            self.narrow.add(entry.place[0])
        key = self._key(entry)
        spoken = self._said.get(key)
        if spoken is None:
            spoken = self._said[key] = _Spoken()
        if entry.is_part:
            self._has_parts = True
            spoken.parts = [*(p for p in spoken.parts if not p.updates <= entry.updates), entry]
            return
        spoken.whole = entry
        if spoken.parts:
            spoken.parts = [p for p in spoken.parts if p.flight and not self._speaks(entry, p.flight)]

    def entry(self, node: Node) -> ConsentEntry | None:
        """The newest entry that still decides anything for `node`; None when no scope given so far holds it."""
        standing = self.standing(node)
        return standing[0] if standing else None

    def standing(self, node: Node) -> tuple[ConsentEntry, ...]:
        """Every entry that may decide something for `node`, newest first: words on parts, then the last on all."""
        said = self._said
        found = [said[key] for key in self._keys(node) if key in said]
        whole: ConsentEntry | None = None
        for spoken in found:
            if spoken.whole is not None and (whole is None or spoken.whole.seq > whole.seq):
                whole = spoken.whole
        if not self._has_parts:
            return (whole,) if whole is not None else ()
        parts = [
            part
            for spoken in found
            for part in spoken.parts
            if whole is None or part.seq > whole.seq or (part.flight and not self._speaks(whole, part.flight))
        ]
        parts.sort(key=lambda part: -part.seq)
        return (*parts, whole) if whole is not None else tuple(parts)

    def deciding(self, node: Node, update: UpdateId) -> ConsentEntry | None:
        """The entry that decides about `update` on `node`."""
        return self.pick(self.standing(node), update)

    def pick(self, standing: Iterable[ConsentEntry], update: UpdateId) -> ConsentEntry | None:
        """The first of `standing`, as `standing` gives them, that speaks of `update`."""
        return next((entry for entry in standing if self._speaks(entry, update)), None)

    def is_approved(self, node: Node, update: UpdateId) -> ConsentEntry | None:
        """The entry that approves `update` on `node`, whatever its conditions; None when none does."""
        entry = self.deciding(node, update)
        return entry if entry is not None and approves(entry, update) else None

    def missing(self, node: Node, updates: Iterable[UpdateId]) -> tuple[UpdateId, ...]:
        """Those of `updates` that nobody approved on `node`, sorted."""
        standing = self.standing(node)
        picked = ((update, self.pick(standing, update)) for update in updates)
        return tuple(sorted(update for update, entry in picked if entry is None or not approves(entry, update)))

    def _speaks(self, entry: ConsentEntry, update: UpdateId) -> bool:
        if entry.is_part:
            return update in entry.updates
        if entry.verdict is not Verdict.APPROVED or update not in self._flights:
            return True
        return update in entry.updates or update in entry.excluded

    def _key(self, entry: ConsentEntry) -> _Key:
        scope = entry.scope
        match scope.level:
            case ScopeLevel.RACK:  # the one name that is unique within a supercomputer only
                return (_RACK, scope.name, entry.request)
            case ScopeLevel.GROUP:
                assert entry.place is not None, "a word on a group says where its device stands"
                return (_GROUP, *entry.place)
            case _:
                return (str(scope.level), scope.name)

    def _keys(self, node: Node) -> tuple[_Key, ...]:
        cluster = node.cluster
        around = self._around.get(cluster)
        if around is None:
            supercomputer = self._fleet.clusters[cluster].supercomputer
            names = (_SUPERCOMPUTER, supercomputer), (_CLUSTER, cluster)
            around = self._around[cluster] = (*names, request_id(supercomputer))
        keys = (around[0], around[1], (_RACK, node.rack, around[2]), (_NODE, node.name))
        if not self._has_groups:
            return keys
        return (*keys, *((_GROUP, *place) for place in places_of(node)))


def approves(entry: ConsentEntry, update: UpdateId) -> bool:
    """True when the entry, which speaks of `update`, says yes to it."""
    return entry.verdict is Verdict.APPROVED and update in entry.updates


def nodes_of(fleet: Fleet, entry: ConsentEntry) -> Iterator[Node]:
    """The nodes that an entry's scope holds, by cluster and name."""
    return nodes_in(fleet, entry.scope, entry.request, entry.place)


def nodes_in(fleet: Fleet, scope: Scope, request: RequestId, place: Place | None = None) -> Iterator[Node]:
    """The nodes of a scope in the supercomputer of that request, by cluster and name. `place`: of a group."""
    near = _nodes_near(fleet, scope, place)
    if near is None:
        clusters = ((fleet.clusters[name], members) for name, members in fleet.nodes_by_cluster.items())
        mine = (pair for pair in clusters if request_id(pair[0].supercomputer) == request)
        yield from (node for cluster, members in mine for node in members if scope.covers(node, cluster))
    else:
        yield from (n for n in near if request_id(fleet.clusters[n.cluster].supercomputer) == request)


def _nodes_near(fleet: Fleet, scope: Scope, place: Place | None) -> tuple[Node, ...] | None:
    """The nodes of a scope that need no search; None for others."""
    match scope.level:
        case ScopeLevel.NODE:
            node = fleet.nodes.get(NodeId(scope.name))
            return (node,) if node is not None else ()
        case ScopeLevel.CLUSTER:
            return fleet.nodes_by_cluster.get(ClusterId(scope.name), ())
        case ScopeLevel.GROUP:
            return fleet.nodes_at(place) if place is not None else ()
        case ScopeLevel.RACK | ScopeLevel.SUPERCOMPUTER:
            return None


def time_bounds(conditions: Conditions) -> Allowance | None:
    """When work that was approved so may be done; None: at any time."""
    if conditions.not_before is None and conditions.not_after is None:
        return None
    return Allowance(not_before=conditions.not_before, not_after=conditions.not_after)


def say_conditions(conditions: Conditions) -> str:
    """The conditions in words; "" when there are none."""
    bounds = time_bounds(conditions)
    words = [
        str(bounds) if bounds else "",
        f"at most {conditions.nodes_per_day:,} nodes a day" if conditions.nodes_per_day else "",
        f"together with {', '.join(sorted(conditions.with_updates))}" if conditions.with_updates else "",
        f"together with all of {conditions.with_scope}" if conditions.with_scope else "",
    ]
    return ", ".join(filter(None, words))


def say_given(entry: ConsentEntry) -> Reason:
    """The approval as a reason why work may be done."""
    terms = say_conditions(entry.conditions)
    at = f"{entry.at:%Y-%m-%d %H:%MZ}" + (f", {terms}" if terms else "")
    return reason(PlanCode.CONSENT_GIVEN, actor=entry.actor, scope=entry.scope, at=at)


def say_missing(fleet: Fleet, node: Node, updates: Iterable[UpdateId], entry: ConsentEntry | None) -> Reason:
    """Why `updates` are not covered on `node`, in words that fit all of its cluster about which `entry` decides."""
    cluster = fleet.clusters[node.cluster]
    request, named = request_id(cluster.supercomputer), tuple(sorted(updates))
    if entry is None:
        scope, told = f"cluster {node.cluster}", ", ".join(named)
        return reason(Code.APPROVAL_MISSING, customer=cluster.customer, updates=told, scope=scope, request=request)
    at = f"{entry.at:%Y-%m-%d %H:%MZ}"
    match entry.verdict:
        case Verdict.WITHDRAWN:
            return reason(Code.APPROVAL_WITHDRAWN, actor=entry.actor, scope=entry.scope, at=at, request=request)
        case Verdict.DECLINED:
            return say_declined(entry)
        case Verdict.OFFERED:
            terms = say_conditions(entry.conditions)
            return reason(Code.OFFER_OPEN, actor=entry.actor, scope=entry.scope, terms=terms, offer=entry.id)
        case Verdict.REFUSED:
            why = entry.reason or "no reason given"
            return reason(Code.OFFER_REFUSED, actor=entry.actor, scope=entry.scope, why=why, request=request)
        case Verdict.APPROVED:
            return _say_short(cluster, named, entry)


def _say_short(cluster: Cluster, updates: tuple[UpdateId, ...], entry: ConsentEntry) -> Reason:
    """Why an approval does not reach `updates`."""
    request, told = request_id(cluster.supercomputer), ", ".join(updates)
    if all(approves(entry, update) for update in updates):  # so a condition keeps it
        needed = ", ".join(sorted(entry.conditions.with_updates))
        return reason(Code.TOGETHER_UNMET, actor=entry.actor, scope=entry.scope, updates=needed)
    if all(update in entry.excluded for update in updates):
        return reason(Code.APPROVAL_EXCLUDES, actor=entry.actor, scope=entry.scope, updates=told, request=request)
    incarnation = entry.incarnation
    return reason(
        Code.APPROVAL_OUTDATED, customer=cluster.customer, request=request, incarnation=incarnation, updates=told
    )


def say_declined(entry: ConsentEntry) -> Reason:
    """The decline as a reason: until when, why, and what follows."""
    assert entry.until is not None, "a decline has an end"
    match entry.then:
        case AfterDue.PROCEED:
            then = "after that the work goes on without another word"
        case AfterDue.ESCALATE:
            then = "after that it is escalated"
        case None:
            then = "ask again then"
    return reason(
        Code.APPROVAL_DECLINED,
        actor=entry.actor,
        scope=entry.scope,
        until=f"{entry.until:%Y-%m-%d %H:%MZ}",
        why=entry.reason,
        then=then,
    )
