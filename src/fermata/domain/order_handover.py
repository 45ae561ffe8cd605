"""Words on work orders, and nodes that change hands or come to a place of which others spoke: a word is no word of a
customer who was not heard when it was said.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from fermata.domain.fleet import Node
from fermata.domain.handed_over import WIDE, may_speak
from fermata.domain.ids import CustomerId, NodeId, OrderId
from fermata.domain.policy import Scope, ScopeLevel
from fermata.domain.work_orders import OrderDesk, OrderWord, Word, WorkOrder


def end_order_words(
    before: OrderDesk, after: OrderDesk, orders: Iterable[WorkOrder], *, now: datetime, actor: str
) -> Iterator[OrderWord]:
    """For each node on which a word on an order stands that was not said for its customer, one taking it back there.
    The desks have the same words and policy, and the fleet as it was and as it is. Orders that are over, or hold their
    nodes already, are left alone. The seqs follow on those of the desks' words, and the ids are made of these.
    """
    heard = _Heard(before=before)
    ends: dict[tuple[NodeId, int], list[OrderId]] = {}
    for order in orders:
        if not order.is_open or order.in_work:
            continue
        for node in after.places.nodes_of(order):
            word = after.word_on(order.id, node)
            if word is None or word.word is Word.WITHDRAWN:
                continue
            if not heard.is_heard(order, word, node, _customer(after, node)):
                ends.setdefault((node.name, word.seq), []).append(order.id)
    by_seq = {word.seq: word for word in after.words}
    for seq, ((name, said), names) in enumerate(sorted(ends.items()), start=max(by_seq, default=0) + 1):
        customer = _customer(after, after.places.fleet.nodes[name])
        yield replace(
            by_seq[said],
            seq=seq,
            id=f"word_handed_over_{seq}",
            orders=frozenset(names),
            scope=Scope(level=ScopeLevel.NODE, name=name),
            word=Word.WITHDRAWN,
            actor=actor,
            at=now,
            reason=f"{name} is there for {customer}, who said nothing of {by_seq[said].scope} and has to be asked",
            until=None,
        )


def _customer(desk: OrderDesk, node: Node) -> CustomerId:
    return desk.places.fleet.clusters[node.cluster].customer


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """Whose nodes each word on an order stood for in the fleet as it was, found once for each."""

    before: OrderDesk
    _found: dict[OrderId, Mapping[int, frozenset[CustomerId]]] = field(default_factory=dict, init=False)

    def is_heard(self, order: WorkOrder, word: OrderWord, node: Node, customer: CustomerId) -> bool:
        if customer in self._customers(order).get(word.seq, frozenset()):
            return True
        is_new = node.name not in self.before.places.fleet.nodes
        return is_new and word.scope.level not in WIDE and may_speak(self.before.policy, customer, word.actor)

    def _customers(self, order: WorkOrder) -> Mapping[int, frozenset[CustomerId]]:
        if order.id not in self._found:
            found: dict[int, set[CustomerId]] = {}
            for node in self.before.places.nodes_of(order):
                word = self.before.word_on(order.id, node)
                if word is not None:
                    found.setdefault(word.seq, set()).add(_customer(self.before, node))
            self._found[order.id] = {seq: frozenset(customers) for seq, customers in found.items()}
        return self._found[order.id]
