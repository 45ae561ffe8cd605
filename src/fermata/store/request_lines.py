"""The journal's lines about requests that ask for something else than before."""

from collections.abc import Mapping
from datetime import datetime

from fermata.domain.own_part import own_part
from fermata.domain.requests import Request
from fermata.store import journal


def say_changed(request: Request, before: Request | None, actor: str, now: datetime, why: str) -> journal.Entry:
    """The line about a request that asks for something else than before. Of one that several customers share it also
    says what joined and left for each of them, which is all that each is told.
    """
    customers = sorted({*request.customers, *(before.customers if before else ())})
    own = {name: _moved(own_part(request, name), own_part(before, name) if before else None) for name in customers}
    return journal.Entry(
        at=now,
        actor=actor,
        event="request.changed",
        subject=f"request:{request.id}",
        why=why,
        data={
            "incarnation": request.incarnation,
            "due_at": request.due_at.isoformat() if request.due_at else None,
            "impact": request.impact.value if request.impact else None,
            **_moved(request, before),
            "nodes": request.nodes,
            "shared_devices": request.shared_devices,
            **({"own": own} if len(own) > 1 else {}),
        },
    )


def _moved(request: Request, before: Request | None) -> Mapping[str, list[str]]:
    members = {*request.updates, *request.order_ids}
    earlier = {*before.updates, *before.order_ids} if before else set()
    return {"joined": sorted(members - earlier), "left": sorted(earlier - members)}
