"""The one place where a policy is asked: `policies.cedar`, by Cedar. What is not permitted there is forbidden."""

from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import files

import cedarpy
import orjson

from fermata.authority.actions import Action
from fermata.authority.places import WHOLE_FLEET, Place, PlaceLevel, of_customer, of_grant, of_node, of_supercomputer
from fermata.domain.identity import Grant, GrantLevel, Principal, PrincipalKind, Role
from fermata.domain.ids import CustomerId, NodeId, SupercomputerId

KNOWN_MOST = 16_384  # answers kept: of the same grants, action and place the answer never changes
PLACE, CALLER, ACTION = "Place", "Caller", "Action"


class PolicyBroken(Exception):
    """The policies cannot be read, contradict their schema, or failed on a question: nobody is let do anything."""


class Engine:
    """Answers from policies, which must fit their schema. Raises PolicyBroken."""

    def __init__(self, policies: str, schema: str) -> None:
        try:
            checked = cedarpy.validate_policies(policies, schema)
            self._policies = cedarpy.PolicySet.from_str(policies)
        except ValueError as error:
            raise PolicyBroken(str(error)) from error
        if not checked.validation_passed:
            raise PolicyBroken("; ".join(map(str, checked.errors)))
        self._known = lru_cache(maxsize=KNOWN_MOST)(self._ask)

    def may(self, principal: Principal, action: Action, place: Place) -> bool:
        """Whether it may do that there."""
        own = principal.name if principal.kind is PrincipalKind.NODE else ""
        return self._known(principal.grants, principal.emergencies, own, action, place)

    def may_somewhere(self, principal: Principal, action: Action) -> bool:
        """Whether there is a part of the fleet where it may do that."""
        places = {of_grant(grant) for grant in (*principal.grants, *principal.emergencies)}
        return any(self.may(principal, action, place) for place in sorted(places))

    def roles_of(self, action: Action) -> tuple[Role, ...]:
        """Roles that may do it where they were granted."""
        return tuple(role for role in Role if self._known(_everywhere(role), frozenset(), "", action, WHOLE_FLEET))

    def ask_anew(self, principal: Principal, action: Action, place: Place) -> bool:
        """As `may`, past what is known: for measuring."""
        return self._ask(principal.grants, principal.emergencies, "", action, place)

    def _ask(
        self, grants: frozenset[Grant], emergencies: frozenset[Grant], own: str, action: Action, place: Place
    ) -> bool:
        asked = {
            "principal": {"type": CALLER, "id": "caller"},
            "action": {"type": ACTION, "id": action.value},
            "resource": {"type": PLACE, "id": _id(place)},
        }
        entities = orjson.dumps([_caller(grants, emergencies, own), *_chain(place)]).decode()
        try:
            answer = cedarpy.is_authorized(asked, self._policies, entities)
        except ValueError as error:
            raise PolicyBroken(str(error)) from error
        if answer.diagnostics.errors:
            raise PolicyBroken("; ".join(answer.diagnostics.errors))
        return bool(answer.allowed)


@cache
def shipped() -> Engine:
    """The engine over the policies of this release."""
    return Engine(read_text("policies.cedar"), read_text("schema.cedarschema"))


def read_text(name: str) -> str:
    """A file of this package."""
    return files("fermata.authority").joinpath(name).read_text(encoding="utf-8")


def _everywhere(role: Role) -> frozenset[Grant]:
    return frozenset({Grant(role=role, level=GrantLevel.EVERYTHING)})


def _caller(grants: frozenset[Grant], emergencies: frozenset[Grant], own: str) -> dict[str, object]:
    granted: dict[str, list[object]] = {role.value: [] for role in Role}
    for grant in grants:
        granted[grant.role.value].append(_link(of_grant(grant)))
    granted["break_glass"] = [_link(of_grant(grant)) for grant in emergencies]
    granted["own_node"] = [_link(of_node(NodeId(own)))] if own else []
    return {"uid": {"type": CALLER, "id": "caller"}, "attrs": granted, "parents": []}


def _chain(place: Place) -> Iterable[dict[str, object]]:
    """The place, what it lies in, and everything. A node as its client knows it lies in nothing."""
    above = []
    if place.customer:
        above.append(of_customer(CustomerId(place.customer)))
    if place.supercomputer:
        above.append(of_supercomputer(SupercomputerId(place.supercomputer)))
    yield _entity(WHOLE_FLEET, [])
    yield from (_entity(each, [WHOLE_FLEET]) for each in above)
    if place.level is PlaceLevel.NODE:
        yield _entity(place, [])
    elif place != WHOLE_FLEET:
        yield _entity(place, [*above, WHOLE_FLEET])


def _entity(place: Place, parents: list[Place]) -> dict[str, object]:
    return {
        "uid": {"type": PLACE, "id": _id(place)},
        "attrs": {},
        "parents": [{"type": PLACE, "id": _id(parent)} for parent in parents],
    }


def _link(place: Place) -> object:
    return {"__entity": {"type": PLACE, "id": _id(place)}}


def _id(place: Place) -> str:
    return f"{place.level}:{place.name}" if place.name else place.level.value
