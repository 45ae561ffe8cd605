"""Notices, and who hears them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fermata.client.link import Params
from fermata.client.part import Part, path_part
from fermata.domain.deliveries import DeliveryState
from fermata.domain.ids import (
    CustomerId,
    SubscriptionId,
)
from fermata.domain.subscriptions import SubscriptionOrder
from fermata.services.notices import NoticePage, NoticeView
from fermata.services.subscriptions import SubscriptionView


@dataclass(frozen=True, slots=True)
class NoticesVerbs(Part):
    """Notices, and who hears them."""

    def add_subscriptions(self, orders: Sequence[SubscriptionOrder], *, actor: str) -> Sequence[SubscriptionView]:
        body = {"actor": actor, "subscriptions": [_subscription(order) for order in orders]}
        return self.link.post(list[SubscriptionView], "/subscriptions", body)

    def list_subscriptions(self) -> Sequence[SubscriptionView]:
        return self.link.get(list[SubscriptionView], "/subscriptions")

    def remove_subscription(self, name: SubscriptionId, *, actor: str, why: str) -> SubscriptionView:
        return self.link.delete(SubscriptionView, f"/subscriptions/{path_part(name)}", [("actor", actor), ("why", why)])

    def validate_subscription(self, name: SubscriptionId, *, actor: str) -> SubscriptionView:
        return self.link.post(SubscriptionView, f"/subscriptions/{path_part(name)}/validate", {"actor": actor})

    def test_subscription(self, name: SubscriptionId, *, actor: str) -> NoticeView:
        return self.link.post(NoticeView, f"/subscriptions/{path_part(name)}/test", {"actor": actor})

    def list_notices(
        self, *, customers: Sequence[CustomerId], states: Sequence[DeliveryState], before: int | None, limit: int
    ) -> NoticePage:
        asked: Params = [("limit", limit), *(("customer", name) for name in customers)]
        asked = [*asked, *(("state", state.value) for state in states)]
        return self.link.get(NoticePage, "/notices", [*asked, *([("before", before)] if before is not None else [])])

    def show_notice(self, name: str) -> NoticeView:
        return self.link.get(NoticeView, f"/notices/{path_part(name)}")

    def replay_notice(self, name: str, *, to: SubscriptionId | None, actor: str, why: str) -> NoticeView:
        body = {"actor": actor, "why": why, "subscription": to}
        return self.link.post(NoticeView, f"/notices/{path_part(name)}/replay", body)

    def dismiss_notice(self, name: str, *, to: SubscriptionId | None, actor: str, why: str) -> NoticeView:
        body = {"actor": actor, "why": why, "subscription": to}
        return self.link.post(NoticeView, f"/notices/{path_part(name)}/dismiss", body)


def _subscription(order: SubscriptionOrder) -> dict[str, Any]:
    return {
        "id": order.id,
        "channel": order.channel,
        "target": dict(order.target),
        "customers": sorted(order.customers),
        "supercomputers": sorted(order.supercomputers),
        "teams": sorted(order.teams),
        "kinds": sorted(order.kinds),
        "shape": order.shape,
        "attempts_max": order.attempts_max,
        "lives_minutes": round(order.lives / timedelta(minutes=1)),
    }
