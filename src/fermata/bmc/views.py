"""What resources of one controller are made of: the view of it that an answer gives, collections, times and ids."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fermata.bmc.controller import Controller
from fermata.bmc.tasks import Task

Json = dict[str, Any]
GET = ("GET", "HEAD")
OK_STATUS = {"State": "Enabled", "Health": "OK"}
NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122's, for URLs


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """`body` has its @odata.id and @odata.type. `is_task_monitor`: the answer follows from the task."""

    body: Json
    allow: Sequence[str] = GET
    task: Task | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One controller at one time, seen under `root` (the address of its ServiceRoot, without a slash at the end)."""

    controller: Controller
    now: datetime
    root: str

    def link(self, *parts: str) -> Json:
        """A reference object."""
        return {"@odata.id": self.path(*parts)}

    def path(self, *parts: str) -> str:
        """The address of a resource."""
        return "/".join((self.root, *parts))


def collection(view: View, kind: str, title: str, at: Sequence[str], members: Iterable[str], **more: Any) -> Json:
    """A resource collection; `members` are the last parts of their addresses."""
    links = [view.link(*at, name) for name in members]
    return {
        "@odata.id": view.path(*at),
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": title,
        "Members": links,
        "Members@odata.count": len(links),
        **more,
    }


def stamp(at: datetime) -> str:
    """As Redfish writes times."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def uuid_of(view: View, what: str) -> str:
    """The same for every run."""
    return str(uuid.uuid5(NAMESPACE, f"{view.controller.name}/{what}"))
