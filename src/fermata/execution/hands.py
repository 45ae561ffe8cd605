"""How many subscriptions are written to side by side, and for whom: who has many webhooks that hang holds few hands."""

import sys
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from fermata.domain.ids import CustomerId, SubscriptionId
from fermata.domain.subscriptions import Subscription

HANDS_MAX = 32  # subscriptions that a server delivers to side by side; it waits for none of them
HANDS_OF_ONE_MAX = 4  # of these, for one customer: when all of its webhooks hang, the rest are free for others
HANDS_OF_OPERATOR_MAX = 16  # for the operator's own, which name no customer


@dataclass(kw_only=True)
class Free:
    """Hands that are free, and which of them for whom. What is begun has one at once: a lease is not for waiting."""

    hands: int = HANDS_MAX
    of_one: int = HANDS_OF_ONE_MAX
    of_operator: int = HANDS_OF_OPERATOR_MAX
    taken: set[SubscriptionId] = field(default_factory=set)
    by_customer: Counter[CustomerId | None] = field(default_factory=Counter)  # None: the operator's own

    def may_take(self, subscription: Subscription) -> bool:
        """Whether a hand is free for it, and none has it already."""
        if len(self.taken) >= self.hands or subscription.id in self.taken:
            return False
        return all(
            self.by_customer[name] < (self.of_operator if name is None else self.of_one)
            for name in _payers(subscription)
        )

    def take(self, subscription: Subscription) -> None:
        """One hand more is at work."""
        self.taken.add(subscription.id)
        self.by_customer.update(_payers(subscription))


def _payers(subscription: Subscription) -> Collection[CustomerId | None]:
    return subscription.customers or (None,)


def all_hands() -> Free:
    """Of whoever makes one round, and all of it."""
    return Free(hands=sys.maxsize, of_one=sys.maxsize, of_operator=sys.maxsize)


def choose(free: Free, due: Iterable[Subscription]) -> list[Subscription]:
    """As many as there are hands."""
    chosen = []
    for each in due:
        if free.may_take(each):
            free.take(each)
            chosen.append(each)
    return chosen
