"""What is told of consent and of freezes: words on scopes, to those whom the scopes concern."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from fermata.domain.ids import CustomerId, OrderId
from fermata.domain.notices import OF_CONSENT, Change, Home, Notice, NoticeKind, make_notice


def tell_scopes(
    changes: Iterable[Change],
    homes: Mapping[str, tuple[Home, ...]],
    holders: Mapping[OrderId, Collection[CustomerId]] = MappingProxyType({}),
) -> tuple[Notice, ...]:
    """Consent and freezes: one notice to each home concerned, however many scopes were named at once, if the same was
    said of them. `homes` by scope in words (`cluster alpha`). `holders`: of the orders that words are on, who hold
    their nodes; a word on orders, or an exemption for orders alone, reaches, of its scope, these alone, and names to
    each those that are its own.
    """
    grouped: dict[tuple[str, str, str, str, Home], list[Change]] = {}
    for change in changes:
        said = str([change.data.get(key) for key in _SAID])
        for home in homes.get(scope_words(change), ()):
            own = _own_word(change, home, holders)
            if own is not None:
                grouped.setdefault((change.event, change.actor, change.why, said, home), []).append(own)
    return tuple(_tell_scope(group, key[4]) for key, group in grouped.items())


def _own_word(change: Change, home: Home, holders: Mapping[OrderId, Collection[CustomerId]]) -> Change | None:
    """What of a word, or of an exemption, concerns that home; None: it is on others' orders alone."""
    if not names_orders(change):
        return change
    orders = [name for name in change.data["orders"] if home.customer in holders.get(OrderId(name), ())]
    is_on_more = any(change.data.get(key) for key in _BESIDE_ORDERS)
    return replace(change, data={**change.data, "orders": orders}) if orders or is_on_more else None


def names_orders(change: Change) -> bool:
    """True of a word or an exemption that names work orders: each customer is told of its own."""
    return change.event in _NAMING_ORDERS and bool(change.data.get("orders"))


def _tell_scope(changes: list[Change], home: Home) -> Notice:
    first = changes[0]
    facts: dict[str, Any] = {key: value for key, value in first.data.items() if key != "scope"}
    facts["scopes"] = [scope_words(change) for change in changes][:SCOPES_MAX]
    facts["scopes_total"] = len(changes)
    for key in _NAMED & facts.keys():
        facts[key] = sorted({name for change in changes for name in change.data.get(key, ())})
    kind = NoticeKind(first.event)
    if kind is NoticeKind.CONSENT_OFFERED:
        facts["offers"] = [change.data["id"] for change in changes][:SCOPES_MAX]
    return make_notice(first, kind, home.customer, home.supercomputer, facts)


_SAID = ("request", "until", "then", "conditions")  # what a word holds to: told once for all of which it is the same
_NAMED = frozenset({"updates", "orders"})  # of several words in one notice all that one of them is about
_NAMING_ORDERS = frozenset({*OF_CONSENT, NoticeKind.EXEMPTION_ASKED, NoticeKind.EXEMPTION_CONFIRMED})
_BESIDE_ORDERS = ("updates", "kinds")  # what an exemption may be for beside them
SCOPES_MAX = 1_000  # named in one notice; `scopes_total` counts them all


def scope_words(change: Change) -> str:
    """The scope that a change of consent or of a freeze is about: its subject, or what its data says."""
    return str(change.data.get("scope") or change.subject.replace(":", " ", 1))
