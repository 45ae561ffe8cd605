"""Policy, approvals, counter-offers, freezes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fermata.client.part import Part, iso, path_part, scope_body
from fermata.domain.ids import (
    ApprovalId,
    ExemptionId,
    FreezeId,
)
from fermata.domain.policy import Conditions, ConsentEntry, Exemption, Freeze, Verdict
from fermata.domain.policy_trial import Trial
from fermata.server.api.consent import OutcomeLine
from fermata.services.consent import Order, Outcome
from fermata.services.exemptions import ExemptionOrder
from fermata.services.freezes import EndedFreeze, FreezeOrder, FreezeView
from fermata.services.offers import Answer, OfferView

_NOUNS = {
    Verdict.APPROVED: "approvals",
    Verdict.WITHDRAWN: "withdrawals",
    Verdict.DECLINED: "declines",
    Verdict.OFFERED: "offers",
}


@dataclass(frozen=True, slots=True)
class ConsentVerbs(Part):
    """Policy, approvals, counter-offers, freezes."""

    def try_policy(self, node: str, update: str, at: datetime) -> Trial:
        asked = [("node", node), ("update", update), ("at", at.isoformat())]
        return self.link.get(Trial, "/policy/test", asked)

    def decide(self, orders: Sequence[Order], *, atomic: bool) -> Sequence[Outcome]:
        if not orders:
            return ()
        body = {"atomic": atomic, "orders": [_order(order) for order in orders]}
        lines = self.link.post(list[OutcomeLine], f"/{_NOUNS[orders[0].verdict]}", body)
        return [
            Outcome(order=order, nodes=line.nodes, entry=line.entry, refused=line.refused)
            for order, line in zip(orders, lines, strict=True)
        ]

    def list_offers(self) -> Sequence[OfferView]:
        return self.link.get(list[OfferView], "/offers")

    def answer_offer(self, offer: ApprovalId, answer: Answer) -> ConsentEntry:
        body = {"actor": answer.actor, "why": answer.why}
        verb = "accept" if answer.accept else "refuse"
        return self.link.post(ConsentEntry, f"/offers/{path_part(offer)}/{verb}", body)

    def add_freeze(self, order: FreezeOrder) -> Freeze:
        body = {
            "scope": {"level": order.scope.level, "name": order.scope.name},
            "start": order.start.isoformat(),
            "end": order.end.isoformat(),
            "reason": order.reason,
            "customer": order.customer,
            "actor": order.actor,
        }
        return self.link.post(Freeze, "/freezes", body)

    def end_freeze(self, freeze: FreezeId, *, actor: str | None, why: str) -> EndedFreeze:
        params = [("why", why), *([("actor", actor)] if actor is not None else [])]
        return self.link.delete(EndedFreeze, f"/freezes/{path_part(freeze)}", params)

    def list_freezes(self, *, over: bool) -> Sequence[FreezeView]:
        return self.link.get(list[FreezeView], "/freezes", [("over", over)])

    def ask_exemption(self, order: ExemptionOrder) -> Exemption:
        body = {
            "updates": sorted(order.updates),
            "orders": sorted(order.orders),
            "kinds": sorted(order.kinds),
            "reason": order.reason,
            "actor": order.actor,
        }
        return self.link.post(Exemption, f"/freezes/{path_part(order.freeze)}/exemptions", body)

    def confirm_exemption(self, exemption: ExemptionId, *, actor: str | None) -> Exemption:
        return self.link.post(Exemption, f"/exemptions/{path_part(exemption)}/confirm", {"actor": actor})


def _order(order: Order) -> dict[str, Any]:
    """Only what was said: thousands of orders have to fit into one body."""
    terms = order.terms
    said = {
        "reason": order.reason or None,
        "incarnation": order.seen,
        "actor": order.actor,
        "at": iso(order.at),
        "only": sorted(terms.only) if terms.only is not None else None,
        "without": sorted(terms.without) or None,
        "flight": terms.flight,
        "conditions": _conditions(terms.conditions) if terms.conditions is not None else None,
        "until": iso(terms.until),
        "then": terms.then,
    }
    return {"scope": scope_body(order.scope), **{name: value for name, value in said.items() if value is not None}}


def _conditions(conditions: Conditions) -> dict[str, Any]:
    said = {
        "not_before": iso(conditions.not_before),
        "not_after": iso(conditions.not_after),
        "nodes_per_day": conditions.nodes_per_day,
        "with_updates": sorted(conditions.with_updates) or None,
        "with_scope": scope_body(conditions.with_scope) if conditions.with_scope else None,
    }
    return {name: value for name, value in said.items() if value is not None}
