"""What a request needs, in the terms in which `needs` says it: an action, and what of the fleet it is about."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fermata.authority.actions import Action


class Kind(StrEnum):
    """Kinds of things that requests name, each of which lies somewhere in the fleet."""

    WHOLE_FLEET = "whole fleet"
    SOMEWHERE = "somewhere"  # the answer holds what the caller sees, and nothing else
    CUSTOMER = "customer"
    SUPERCOMPUTER = "supercomputer"
    CLUSTER = "cluster"
    GROUP = "group"
    RACK = "rack"
    NODE = "node"
    DEVICE = "device"
    UNIT = "unit"  # a node or a device
    CAMPAIGN = "campaign"  # "" is every one on record
    RUN = "run"
    PLAN = "plan"
    WINDOW = "window"
    REQUEST = "request"
    WORK_ORDER = "work order"
    FREEZE = "freeze"
    EXEMPTION = "exemption"
    OFFER = "offer"
    SUBSCRIPTION = "subscription"
    ARM_PATH = "resource"  # a path of Azure's resource manager
    ARM_SCOPE = "scope of a resource"  # all that is meant by what is said of such a path
    INSTANCE = "instance"  # project, zone and what stands there, as Google's paths have them


class Sends(StrEnum):
    """What a request comes with."""

    NOTHING = "nothing"  # or what is looked at by nobody here
    JSON = "JSON"
    FORM = "form"  # urlencoded, and nothing else
    FILES = "files"  # multipart: large, so it is not read here; its field `actor` is judged where it is read


class Speaks(StrEnum):
    """Where a request says who speaks."""

    NOBODY = "nobody"
    BODY = "body"  # the member or field `actor`
    ORDERS = "orders"  # the same, and that of each of `orders`
    WORDS = "words"  # that of each of `words`
    QUERY = "query"  # the parameter `actor`


@dataclass(frozen=True, slots=True, order=True)
class Named:
    """A thing that is named. `of`, for a freeze alone: whose part of it is meant."""

    kind: Kind
    name: str = ""
    of: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, as far as it says what it is about. `body`: what JSON or a form held, None for anything else."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None


Naming = Callable[[Asked], Iterable[Named]]


class Unnamed(Exception):
    """A body does not name what it is about in any way that is known: what it would do cannot be judged."""


def whole_fleet(_asked: Asked) -> Iterable[Named]:
    """Everything."""
    return (Named(Kind.WHOLE_FLEET),)


def somewhere(_asked: Asked) -> Iterable[Named]:
    """Any part of the fleet."""
    return (Named(Kind.SOMEWHERE),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a route needs: `action`, which may follow from what is asked, on everything that `names` finds.

    `is_open`: nothing, since whoever comes there proves otherwise who they are, or there is nothing to hide.
    `of_nodes`: what a client inside a node needs instead, on its own node.
    """

    action: Action | Callable[[Asked], Action] = Action.LOOK
    names: Naming = whole_fleet
    sends: Sends = Sends.NOTHING
    speaks: Speaks = Speaks.NOBODY
    is_open: bool = False
    of_nodes: bool = False

    def action_of(self, asked: Asked) -> Action:
        """What this request does. Raises Unnamed."""
        return self.action if isinstance(self.action, Action) else self.action(asked)

    @property
    def is_plain(self) -> bool:
        """Whether nothing has to be looked up for it."""
        return self.sends in (Sends.NOTHING, Sends.FILES) and self.names in (whole_fleet, somewhere)

    @property
    def actions(self) -> tuple[Action, ...]:
        """All that it may come to."""
        return (self.action,) if isinstance(self.action, Action) else tuple(INTENDED.values())


INTENDED = {
    "run": Action.CONDUCT,
    "pause": Action.PAUSE,
    "stop": Action.STOP,
    "abort": Action.STOP,
}  # what is wanted of nodes, windows and runs


def intended(asked: Asked) -> Action:
    """What a word on nodes, a window, a run or the fleet comes to. Raises Unnamed."""
    found = INTENDED.get(text_of(asked.body, "desired"))
    if found is None:
        raise Unnamed("desired")
    return found


def by_path(kind: Kind, parameter: str) -> Naming:
    """What a parameter of the path names."""
    return lambda asked: (Named(kind, asked.path[parameter]),)


def by_query(kind: Kind, parameter: str) -> Naming:
    """What a parameter of the query names, "" without it."""
    return lambda asked: (Named(kind, asked.query.get(parameter, "")),)


def by_body(kind: Kind, member: str) -> Naming:
    """What a member of the body names. Raises Unnamed without it."""
    return lambda asked: (Named(kind, text_of(asked.body, member)),)


def campaign(asked: Asked) -> Iterable[Named]:
    """The campaign of the path or the query; every one when none is named."""
    named = asked.path.get("campaign") or asked.query.get("campaign") or ""
    return (Named(Kind.CAMPAIGN, named),)


def text_of(holder: Any, member: str) -> str:
    """A member that is a text. Raises Unnamed."""
    found = holder.get(member) if isinstance(holder, dict) else None
    if not isinstance(found, str) or not found:
        raise Unnamed(member)
    return found


def list_of(holder: Any, member: str) -> list[Any]:
    """A member that is a list, empty without it. Raises Unnamed for anything else."""
    found = holder.get(member) if isinstance(holder, dict) else None
    if found is None:
        return []
    if not isinstance(found, list):
        raise Unnamed(member)
    return found
