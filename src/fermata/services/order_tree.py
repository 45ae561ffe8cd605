"""What a request of work orders asks of which part of the fleet, as the same tree that requests for updates have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, CustomerId, NodeId, RequestId
from fermata.domain.policy import Policy, Scope, ScopeLevel
from fermata.domain.reasons import Code, Reason, reason
from fermata.domain.request_book import RequestBook
from fermata.domain.request_kinds import RequestKind
from fermata.domain.requests import Request
from fermata.services.errors import Refusal, refusing_unknown
from fermata.services.request_record import Inputs, read_inputs_in
from fermata.services.request_tree import (
    BRANCHES_MAX,
    WORDS_MAX,
    Branch,
    Branches,
    Grove,
    Part,
    Trunk,
    count_part,
    list_speakers,
)
from fermata.store.database import Database


def read_order_grove(db: Database, only: RequestId, *, now: datetime, since: int | None = None) -> Grove:
    """The open request of work orders of that id, as the branch of its supercomputer; no trunk when there is none.
    `since`: the last word on work orders that was seen. Raises Refusal before all is imported.
    """
    with refusing_unknown(), db.read() as conn:
        inputs = read_inputs_in(conn, now)
    book = inputs.open_book(now)
    found = _find(inputs, only)
    words = [word for word in inputs.words if word.request == only and since is not None and word.seq > since]
    return Grove(
        seq=inputs.words[-1].seq if inputs.words else 0,
        trunks=(Trunk(request=found, standing=book.stand(found), branch=_trunk(book, found)),) if found else (),
        speakers=list_speakers(inputs.policy, sorted(found.customers) if found else ()),
        words=tuple(words[-WORDS_MAX:]),
    )


def list_order_branches(
    db: Database, of: RequestId, below: Scope, *, now: datetime, start: int = 0, cluster: str = ""
) -> Branches:
    """As `request_tree.list_branches`, of the nodes that the request's orders concern."""
    with refusing_unknown(), db.read() as conn:
        inputs = read_inputs_in(conn, now)
    found = _find(inputs, of)
    ground = _tread(inputs.open_book(now), found) if found else None
    parts = ground.parts(below, ClusterId(cluster)) if ground else []
    if ground is None or not parts:
        raise Refusal(reason(Code.NOTHING_PENDING, scope=below))
    end = start + BRANCHES_MAX
    return Branches(branches=tuple(ground.count(part) for part in parts[start:end]), rest=max(0, len(parts) - end))


def _find(inputs: Inputs, only: RequestId) -> Request | None:
    return next(
        (found for found in inputs.list_requests() if found.id == only and found.kind is not RequestKind.DEPLOYMENT),
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """The nodes that the orders of a request concern, and what each lacks."""

    fleet: Fleet
    policy: Policy
    nodes: Sequence[NodeId]
    gaps: Mapping[NodeId, Reason]

    def parts(self, below: Scope, cluster: ClusterId) -> list[Part]:
        """The branches below one, by name."""
        match below.level:
            case ScopeLevel.SUPERCOMPUTER:
                inside = self._where("cluster", self.nodes)
                return [self._part(ScopeLevel.CLUSTER, name, nodes, self._count_racks(nodes)) for name, nodes in inside]
            case ScopeLevel.CLUSTER:
                inside = self._where("rack", [n for n in self.nodes if self.fleet.nodes[n].cluster == below.name])
                return [self._part(ScopeLevel.RACK, name, nodes, len(nodes)) for name, nodes in inside]
            case _:
                inside = self._where("rack", [n for n in self.nodes if self.fleet.nodes[n].cluster == cluster])
                nodes = dict(inside).get(below.name, [])
                return [self._part(ScopeLevel.NODE, name, [name], 0) for name in nodes]

    def count(self, part: Part) -> Branch:
        """What is said of it."""
        return count_part(part, self.gaps, self.policy)

    def _where(self, key: str, nodes: Sequence[NodeId]) -> list[tuple[str, list[NodeId]]]:
        found: dict[str, list[NodeId]] = {}
        for name in nodes:
            found.setdefault(str(getattr(self.fleet.nodes[name], key)), []).append(name)
        return sorted(found.items())

    def _count_racks(self, nodes: Sequence[NodeId]) -> int:
        return len({self.fleet.nodes[name].rack for name in nodes})

    def _part(self, level: ScopeLevel, name: str, nodes: Sequence[NodeId], children: int) -> Part:
        return Part(level=level, name=name, nodes=nodes, customers=self._customers(nodes), children=children)

    def _customers(self, nodes: Sequence[NodeId]) -> list[CustomerId]:
        return sorted({self.fleet.clusters[self.fleet.nodes[name].cluster].customer for name in nodes})


def _tread(book: RequestBook, request: Request) -> _Ground:
    gaps: dict[NodeId, Reason] = {}
    nodes: set[NodeId] = set()
    for shown in request.orders:
        heard = book.ordered.hear(book.orders[shown.id])
        nodes.update(heard.nodes)
        gaps = {**heard.gaps, **gaps}
    return _Ground(fleet=book.fleet, policy=book.policy, nodes=sorted(nodes), gaps=gaps)


def _trunk(book: RequestBook, request: Request) -> Branch:
    ground = _tread(book, request)
    below = ground.parts(Scope(level=ScopeLevel.SUPERCOMPUTER, name=request.supercomputer), ClusterId(""))
    return ground.count(
        Part(
            level=ScopeLevel.SUPERCOMPUTER,
            name=request.supercomputer,
            nodes=ground.nodes,
            customers=request.customers,
            devices=sum(shown.is_of_device for shown in request.orders),
            children=len(below),
        )
    )
