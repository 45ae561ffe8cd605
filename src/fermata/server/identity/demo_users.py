"""The people of a demo. Whoever uses this machine is one of them, and says which in the head of each page."""

from collections.abc import Sequence
from dataclasses import dataclass

from fermata.domain.identity import LOCAL, Grant, GrantLevel, Principal, PrincipalKind, Role

EVERYBODY, VIEWER = "everybody", "viewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoUser:
    """`key` is what the browser remembers, `name` the actor."""

    key: str
    name: str
    principal: Principal


def demo_users(approver: tuple[str, str] | None) -> Sequence[DemoUser]:
    """The first is who somebody is that chose nobody, programs too: it may do everything. `approver`: a customer,
    and one who speaks for it.
    """
    conducts = (Role.CONDUCTOR, Role.UPDATE_OWNER, Role.OPERATOR)
    found = [
        DemoUser(key=EVERYBODY, name=LOCAL.name, principal=LOCAL),
        _user("conductor", "conductor", *(Grant(role=role, level=GrantLevel.EVERYTHING) for role in conducts)),
        _user(VIEWER, "viewer", Grant(role=Role.VIEWER, level=GrantLevel.EVERYTHING)),
    ]
    if approver is not None:
        customer, name = approver
        found.insert(2, _user("approver", name, Grant(role=Role.APPROVER, level=GrantLevel.CUSTOMER, name=customer)))
    return found


def find_user(users: Sequence[DemoUser], key: str) -> DemoUser:
    """The one of that key, else the first."""
    return next((user for user in users if user.key == key), users[0])


def _user(key: str, name: str, *grants: Grant) -> DemoUser:
    return DemoUser(
        key=key, name=name, principal=Principal(name=name, kind=PrincipalKind.PERSON, grants=frozenset(grants))
    )
