"""What every request handler needs, handed over once by `create_app` and found again from the request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from fastapi import Depends, Request

from fermata.domain.subscriptions import ChannelKind
from fermata.formats.brake import BrakeFile
from fermata.ports import Channel
from fermata.server.callers import NodeKeys
from fermata.server.demo import DemoInfo
from fermata.server.kept_work import KeptWork
from fermata.server.live import LiveBoard
from fermata.server.long_work import LongWork
from fermata.server.quota import Quota
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
    of inventory, and the brake of this machine.
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


def context_of(request: Request) -> Context:
    """The one `create_app` made."""
    return cast(Context, request.app.state.context)


Given = Annotated[Context, Depends(context_of)]
