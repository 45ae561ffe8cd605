"""What every request handler needs, handed over once by `create_app` and found again from the request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Protocol, cast

from fastapi import Depends, Request

from fermata.domain.identity import EVERYTHING, PrincipalKind, Sight
from fermata.domain.subscriptions import ChannelKind
from fermata.formats.brake import BrakeFile
from fermata.ports import Channel
from fermata.server.callers import NodeKeys
from fermata.server.demo import DemoInfo
from fermata.server.identity.known import Identity
from fermata.server.kept_work import KeptWork
from fermata.server.live import LiveBoard
from fermata.server.long_work import LongWork
from fermata.server.part_changes import changes_part
from fermata.server.principals import find_principal
from fermata.server.quota import Quota
from fermata.server.warmth import Warmth
from fermata.services.board import BoardReader, Database
from fermata.services.campaigns import CampaignDesk
from fermata.services.inventory_sources import Sources
from fermata.services.maintenance import MaintenanceDesk
from fermata.services.query import QueryDesk
from fermata.services.wall import WallDesk

Now = Callable[[], datetime]
NewId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The store, the campaign's clock, the board made from both, the desks that answer queries, doors, the wall and
    pages of campaigns, the work that pages begin, the keys of nodes, the channels that notices go out by, the sources
    of inventory, the brake of this machine, and how callers are known, and how far it is with reading ahead.
    """

    db: Database
    now: Now
    new_id: NewId
    demo: DemoInfo | None
    reader: BoardReader
    live: LiveBoard
    long_work: LongWork
    desk: QueryDesk
    graph_quota: Quota
    channels: Mapping[ChannelKind, Channel]
    maintenance: MaintenanceDesk
    wall: WallDesk
    campaigns: CampaignDesk
    kept_work: KeptWork
    node_keys: NodeKeys
    sources: Sources
    brake: BrakeFile
    identity: Identity
    warmth: Warmth = field(default_factory=Warmth)


class Parts(Protocol):
    """Contexts over views of the store."""

    def look(self, sight: Sight, *, to_change: bool) -> Context:
        """Of what that sight shows."""


def context_of(request: Request) -> Context:
    """What the caller sees: all of it, or the part that it was granted."""
    caller = find_principal(request.scope)
    if caller is None or caller.sees == EVERYTHING or caller.kind is PrincipalKind.NODE:  # its door holds it to itself
        return cast(Context, request.app.state.context)
    parts: Parts = request.app.state.sights
    return parts.look(caller.sees, to_change=changes_part(request.scope))


Given = Annotated[Context, Depends(context_of)]
