"""What requests for updates ask of which part of the fleet, branch by branch: a branch is read when it is opened."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from fermata.domain.ids import ClusterId, CustomerId, NodeId, RequestId, SupercomputerId
from fermata.domain.policy import ConsentEntry, Policy, Scope, ScopeLevel
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_kinds import RequestKind
from fermata.domain.request_standing import Standing
from fermata.domain.requests import Request
from fermata.domain.work_orders import OrderWord
from fermata.services.errors import Refusal, refusing_unknown
from fermata.services.maintenance import WAITING
from fermata.services.request_record import Inputs, read_inputs_in
from fermata.store.database import Database

P = TypeVar("P")

BRANCHES_MAX = 500  # of one answer: more are asked for
WORDS_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A part of the fleet with pending work. `nodes` with work: of them `covered` may go, `waiting` lack a word, and
    the rest is held by a no, a freeze or a policy. `devices`: shared ones with work, told of supercomputers and
    clusters. `children`: how many branches are below. `speakers`: who may speak for all of it. `why`: what a node
    lacks.
    """

    level: ScopeLevel
    name: str
    nodes: int
    covered: int
    waiting: int
    devices: int
    children: int
    speakers: tuple[str, ...]
    why: str = ""

    @property
    def held(self) -> int:
        """Nodes that a word of approval alone does not clear."""
        return self.nodes - self.covered - self.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Branches:
    """Some of the branches below one, and how many come after them."""

    branches: tuple[Branch, ...]
    rest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """An open request, as the branch of its supercomputer."""

    request: Request
    standing: Standing
    branch: Branch


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Somebody who may speak, and for which customers."""

    name: str
    customers: tuple[CustomerId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grove:
    """All of them. `seq`: the last word of the ledger that is in it; `words`: the newest of those after the one asked
    for, oldest first.
    """

    seq: int
    trunks: tuple[Trunk, ...]
    speakers: tuple[Speaker, ...]
    words: tuple[ConsentEntry | OrderWord, ...]


def read_grove(db: Database, *, now: datetime, since: int | None = None, only: RequestId | None = None) -> Grove:
    """Open requests for updates, or one of them, by supercomputer; `since`: the last word that was seen. Raises Refusal
    before all is imported.
    """
    with refusing_unknown(), db.read() as conn:
        inputs = read_inputs_in(conn, now)
    book = inputs.open_book(now)
    found = [
        request
        for request in inputs.list_requests()
        if request.kind is RequestKind.DEPLOYMENT and request.items and only in (None, request.id)
    ]
    trunks = tuple(
        Trunk(request=request, standing=book.stand(request), branch=_trunk(inputs, request)) for request in found
    )
    concerned = {name for request in found for name in request.customers}
    seq = inputs.ledger[-1].seq if inputs.ledger else 0
    ids = {request.id for request in found}
    new = [e for e in inputs.ledger if e.seq > since and e.request in ids] if since is not None else []
    return Grove(
        seq=seq, trunks=trunks, speakers=list_speakers(inputs.policy, sorted(concerned)), words=tuple(new[-WORDS_MAX:])
    )


def list_branches(db: Database, below: Scope, *, now: datetime, start: int = 0, cluster: str = "") -> Branches:
    """The clusters with work below a supercomputer, the racks below a cluster, the nodes below a rack (of `cluster`),
    by name, from the one at `start` on. Raises Refusal for what the fleet does not have.
    """
    with refusing_unknown(), db.read() as conn:
        inputs = read_inputs_in(conn, now)
    match below.level:
        case ScopeLevel.SUPERCOMPUTER:
            return _page(_clusters(inputs, SupercomputerId(below.name)), below, start, lambda branch: branch)
        case ScopeLevel.CLUSTER:
            found = _racks(inputs, ClusterId(below.name))
        case _:
            found = _nodes(inputs, ClusterId(cluster), below.name)
    return _page(found, below, start, lambda part: _count(inputs, part))


def _page(found: Sequence[P], below: Scope, start: int, to_branch: Callable[[P], Branch]) -> Branches:
    if not found:
        raise Refusal(reason(Code.NOTHING_PENDING, scope=below))
    end = start + BRANCHES_MAX
    return Branches(branches=tuple(map(to_branch, found[start:end])), rest=max(0, len(found) - end))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A branch before it is counted."""

    level: ScopeLevel
    name: str
    nodes: Collection[NodeId]
    customers: Sequence[CustomerId]
    devices: int = 0
    children: int = 0


def _clusters(inputs: Inputs, supercomputer: SupercomputerId) -> list[Branch]:
    """Those with work, from what is counted of each once for all who look."""
    basis, found = inputs.basis, list[Branch]()
    for name in basis.supercomputers.get(supercomputer, ()):
        share, tally = basis.share(name), basis.tally(name)
        if not (share.working or share.shared):
            continue
        coverage = tally.coverage
        found.append(
            Branch(
                level=ScopeLevel.CLUSTER,
                name=name,
                nodes=coverage.nodes if coverage is not None else 0,
                covered=coverage.covered if coverage is not None else 0,
                waiting=sum(n for why, n in coverage.missing if why.code in WAITING) if coverage is not None else 0,
                devices=share.shared,
                children=tally.racks,
                speakers=_may_speak(inputs.policy, [inputs.fleet.clusters[name].customer]),
            )
        )
    return found


def _racks(inputs: Inputs, cluster: ClusterId) -> list[Part]:
    fleet = inputs.fleet
    if cluster not in fleet.clusters:
        return []
    racks: dict[str, list[NodeId]] = {}
    for node in sorted(inputs.basis.share(cluster).working):
        racks.setdefault(fleet.nodes[node].rack, []).append(node)
    customers = [fleet.clusters[cluster].customer]
    return [
        Part(level=ScopeLevel.RACK, name=rack, nodes=nodes, customers=customers, children=len(nodes))
        for rack, nodes in sorted(racks.items())
    ]


def _nodes(inputs: Inputs, cluster: ClusterId, rack: str) -> list[Part]:
    return [
        Part(level=ScopeLevel.NODE, name=node, nodes=[node], customers=part.customers)
        for part in _racks(inputs, cluster)
        if part.name == rack
        for node in part.nodes
    ]


def _trunk(inputs: Inputs, request: Request) -> Branch:
    branches = _clusters(inputs, request.supercomputer)
    return Branch(
        level=ScopeLevel.SUPERCOMPUTER,
        name=request.supercomputer,
        nodes=sum(branch.nodes for branch in branches),
        covered=sum(branch.covered for branch in branches),
        waiting=sum(branch.waiting for branch in branches),
        devices=sum(branch.devices for branch in branches),
        children=len(branches),
        speakers=_may_speak(inputs.policy, request.customers),
    )


def _count(inputs: Inputs, part: Part) -> Branch:
    return count_part(part, inputs.basis.judged.consent.gaps, inputs.policy)


def count_part(part: Part, gaps: Mapping[NodeId, Reason], policy: Policy) -> Branch:
    """The branch of a part of which nodes lack a word as `gaps` says."""
    lacking = [gaps[node] for node in part.nodes if node in gaps]
    return Branch(
        level=part.level,
        name=part.name,
        nodes=len(part.nodes),
        covered=len(part.nodes) - len(lacking),
        waiting=sum(why.code in WAITING for why in lacking),
        devices=part.devices,
        children=part.children,
        speakers=_may_speak(policy, part.customers),
        why=lacking[0].sentence if part.level is ScopeLevel.NODE and lacking else "",
    )


def _may_speak(policy: Policy, customers: Sequence[CustomerId]) -> tuple[str, ...]:
    """Those whom every one of the customers lets speak, as `find_approver` asks."""
    known = policy.customers
    allowed = [known[name].approvers if name in known else () for name in customers]
    return tuple(name for name in allowed[0] if all(name in others for others in allowed)) if allowed else ()


def list_speakers(policy: Policy, customers: Sequence[CustomerId]) -> tuple[Speaker, ...]:
    """Everybody who may speak for any of the customers, by how many of them."""
    names: dict[str, list[CustomerId]] = {}
    for customer in customers:
        for name in policy.customers[customer].approvers if customer in policy.customers else ():
            names.setdefault(name, []).append(customer)
    ordered = sorted(names.items(), key=lambda pair: -len(pair[1]))
    return tuple(Speaker(name=name, customers=tuple(speaks)) for name, speaks in ordered)
