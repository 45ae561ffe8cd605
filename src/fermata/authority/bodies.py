"""What bodies name of the fleet: every scope, node, target, customer in them, however many."""

from collections.abc import Iterable
from typing import Any

from fermata.authority.needs_words import Asked, Kind, Named, Unnamed, campaign, list_of, text_of

SCOPES = {kind.value: kind for kind in (Kind.SUPERCOMPUTER, Kind.CLUSTER, Kind.GROUP, Kind.RACK, Kind.NODE)}
TARGETS = {kind.value: kind for kind in (Kind.CLUSTER, Kind.RACK, Kind.NODE, Kind.DEVICE)}


def orders_of_consent(asked: Asked) -> Iterable[Named]:
    """The scope of every order, and of those whose nodes are to go along."""
    for order in _some(asked.body, "orders"):
        yield _scope(order, "scope")
        conditions = order.get("conditions")
        if isinstance(conditions, dict) and conditions.get("with_scope") is not None:
            yield _scope(conditions, "with_scope")


def freeze(asked: Asked) -> Iterable[Named]:
    """The scope, or the customer's part of it that is named."""
    scope = _scope(asked.body, "scope")
    customer = asked.body.get("customer")
    yield Named(scope.kind, scope.name, customer) if isinstance(customer, str) else scope


def freeze_form(asked: Asked) -> Iterable[Named]:
    """Of the board's form."""
    yield _level(asked.body, SCOPES)


def words(asked: Asked) -> Iterable[Named]:
    """The scope of every word, or all that the request asks for."""
    for word in _some(asked.body, "words"):
        if not isinstance(word, dict):
            raise Unnamed("words")
        if word.get("scope") is not None:
            yield _scope(word, "scope")
        else:
            yield Named(Kind.REQUEST, asked.path["request_id"])


def scopes(asked: Asked) -> Iterable[Named]:
    """A plain list of scopes."""
    for scope in _some(asked.body, "scopes"):
        yield _level(scope, SCOPES)


def work_orders(asked: Asked) -> Iterable[Named]:
    """The target of every order."""
    for order in _some(asked.body, "orders"):
        target = order.get("target") if isinstance(order, dict) else None
        yield _level(target, TARGETS)


def intent(asked: Asked) -> Iterable[Named]:
    """Nodes, a window, the fleet, or a run: of the campaign that is named, or of any."""
    nodes = list_of(asked.body, "nodes")
    if nodes:
        yield from _names(Kind.NODE, nodes)
        return
    if asked.body.get("fleet"):
        yield Named(Kind.WHOLE_FLEET)
    elif asked.body.get("window") is not None:
        yield Named(Kind.WINDOW, text_of(asked.body, "window"))
    else:
        yield Named(Kind.CAMPAIGN, asked.body.get("campaign") or "")


def subscriptions(asked: Asked) -> Iterable[Named]:
    """The customers of each. What names none hears everything."""
    for each in _some(asked.body, "subscriptions"):
        customers = list_of(each, "customers")
        yield from _names(Kind.CUSTOMER, customers)
        if not customers:
            yield Named(Kind.WHOLE_FLEET)


def recovery(asked: Asked) -> Iterable[Named]:
    """The units that are named, or all that the run brought updates to."""
    named = [
        *_names(Kind.NODE, list_of(asked.body, "nodes")),
        *_names(Kind.DEVICE, list_of(asked.body, "devices")),
    ]
    yield from named or (Named(Kind.RUN, asked.path["run"]),)


def nodes(asked: Asked) -> Iterable[Named]:
    """Every node."""
    return _names(Kind.NODE, _some(asked.body, "nodes"))


def break_glass(asked: Asked) -> Iterable[Named]:
    """The place where a role is taken; everything where none is named."""
    level = asked.body.get("level") or "everything"
    if level == "everything":
        yield Named(Kind.WHOLE_FLEET)
        return
    yield _level(asked.body, {kind.value: kind for kind in (Kind.CUSTOMER, Kind.SUPERCOMPUTER, Kind.CLUSTER)})


def form_campaign(asked: Asked) -> Iterable[Named]:
    """The campaign of a form of the board."""
    return campaign(Asked(path={}, query={"campaign": text_of(asked.body, "campaign")}))


def _some(holder: Any, member: str) -> list[Any]:
    found = list_of(holder, member)
    if not found:
        raise Unnamed(member)
    return found


def _names(kind: Kind, found: list[Any]) -> list[Named]:
    if not all(isinstance(name, str) and name for name in found):
        raise Unnamed(kind)
    return [Named(kind, name) for name in found]


def _scope(holder: Any, member: str) -> Named:
    return _level(holder.get(member) if isinstance(holder, dict) else None, SCOPES)


def _level(holder: Any, kinds: dict[str, Kind]) -> Named:
    kind = kinds.get(text_of(holder, "level"))
    if kind is None:
        raise Unnamed("level")
    return Named(kind, text_of(holder, "name"))
