"""The journal's lines about requests that ask for something else than before."""

from datetime import datetime

from fermata.domain.requests import Request
from fermata.store import journal


def say_changed(request: Request, before: Request | None, actor: str, now: datetime, why: str) -> journal.Entry:
    """The line about a request that asks for something else than before."""
    members = {*request.updates, *request.order_ids}
    earlier = {*before.updates, *before.order_ids} if before else set()
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
            "joined": sorted(members - earlier),
            "left": sorted(earlier - members),
            "nodes": request.nodes,
            "shared_devices": request.shared_devices,
        },
    )
