"""Requests, and the orders that ask for more than updates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fermata.client.link import Params
from fermata.client.part import Part, path_part
from fermata.client.words import OrderEnding
from fermata.domain.ids import (
    OrderId,
    RequestId,
)
from fermata.domain.pending_lines import PendingFilter
from fermata.domain.work_orders import WorkOrder
from fermata.server.api.requests import LINES_MAX, PendingAnswer
from fermata.services.order_words import SaidWord, WordOrder
from fermata.services.requests import PendingPage, RequestsLooked, RequestView
from fermata.services.work_orders import NewOrder, Opened


@dataclass(frozen=True, slots=True)
class RequestsVerbs(Part):
    """Requests, and the orders that ask for more than updates."""

    lines_per_page: int = LINES_MAX

    def page_pending(self, wanted: PendingFilter, *, superseded: bool, limit: int | None) -> PendingPage:
        page = self._pending(wanted, superseded=superseded, cursor=None, limit=limit)
        lines = page.lines
        while page.next is not None and (limit is None or len(lines) < limit):
            wished = None if limit is None else limit - len(lines)
            page = self._pending(wanted, superseded=superseded, cursor=page.next, limit=wished)
            lines += page.lines
        return PendingPage(
            total=page.total, rest=page.rest, lines=tuple(lines), groups=tuple(page.groups), stale=tuple(page.stale)
        )

    def list_requests(self, wanted: PendingFilter, *, ended: bool) -> Sequence[RequestView]:
        return self.link.get(list[RequestView], "/requests", [*_filter(wanted), ("ended", ended)])

    def show_request(self, request: RequestId) -> RequestView:
        return self.link.get(RequestView, f"/requests/{path_part(request)}")

    def watch_requests(self) -> RequestsLooked:
        return self.link.post(RequestsLooked, "/looks", {})

    def record_notice(self, request: RequestId, *, actor: str, why: str) -> RequestView:
        return self.link.post(RequestView, f"/requests/{path_part(request)}/told", {"actor": actor, "why": why})

    def open_orders(self, orders: Sequence[NewOrder], *, actor: str) -> Sequence[Opened]:
        body = {"actor": actor, "orders": [_new_order(order) for order in orders]}
        return self.link.post(list[Opened], "/work-orders", body)

    def start_order(self, order: OrderId, *, actor: str, why: str, drained: bool) -> WorkOrder:
        body = {"actor": actor, "why": why, "drained": drained}
        return self.link.post(WorkOrder, f"/work-orders/{path_part(order)}/start", body)

    def end_order(self, end: OrderEnding, order: OrderId, *, actor: str, why: str) -> WorkOrder:
        return self.link.post(WorkOrder, f"/work-orders/{path_part(order)}/{end}", {"actor": actor, "why": why})

    def decide_orders(self, request: RequestId, words: Sequence[WordOrder]) -> Sequence[SaidWord]:
        body = {"words": [_word(word) for word in words]}
        return self.link.post(list[SaidWord], f"/requests/{path_part(request)}/words", body)

    def _pending(
        self, wanted: PendingFilter, *, superseded: bool, cursor: str | None, limit: int | None
    ) -> PendingAnswer:
        size = self.lines_per_page if limit is None else min(limit, self.lines_per_page)
        page: Params = [("superseded", superseded), ("limit", size), *([("cursor", cursor)] if cursor else [])]
        return self.link.get(PendingAnswer, "/pending", [*_filter(wanted), *page])


def _filter(wanted: PendingFilter) -> Params:
    asked = {
        "cluster": wanted.clusters,
        "supercomputer": wanted.supercomputers,
        "customer": wanted.customers,
        "update": wanted.updates,
        "node": wanted.nodes,
        "device": wanted.devices,
        "sku": wanted.skus,
    }
    return [(key, name) for key, names in asked.items() for name in sorted(names)]


def _new_order(order: NewOrder) -> dict[str, Any]:
    return {
        "kind": order.kind,
        "target": {"level": order.target.level, "name": order.target.name},
        "cause": order.cause,
        "impact": order.impact,
        "criticality": order.criticality,
        "wanted_at": order.wanted_at.isoformat() if order.wanted_at else None,
    }


def _word(word: WordOrder) -> dict[str, Any]:
    return {
        "word": word.word,
        "scope": {"level": word.scope.level, "name": word.scope.name} if word.scope else None,
        "orders": sorted(word.orders) if word.orders is not None else None,
        "actor": word.actor,
        "reason": word.reason,
        "incarnation": word.seen,
        "until": word.until.isoformat() if word.until else None,
    }
