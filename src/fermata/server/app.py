"""Builds the server: board, API, doors, and the background tasks that keep board, requests and inventory fresh."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType

from fastapi import FastAPI
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.staticfiles import StaticFiles

import fermata
from fermata.domain.subscriptions import ChannelKind
from fermata.formats.brake import BrakeFile, brake_file
from fermata.ports import Channel, Clock
from fermata.server import doors, errors
from fermata.server.api import PREFIX
from fermata.server.api import router as api_router
from fermata.server.asks_loop import run_asks_loop
from fermata.server.callers import NO_NODES, NodeAccess, NodeKeys
from fermata.server.conditional import Conditional
from fermata.server.context import Context
from fermata.server.demo import DemoInfo
from fermata.server.doors.node_front import NodeFront
from fermata.server.guard import Guard
from fermata.server.kept_work import KeptWork
from fermata.server.live import DEFAULT_TIMING, LiveBoard, Timing
from fermata.server.long_work import MEDIA_TYPE as LINES_TYPE
from fermata.server.long_work import LongWork
from fermata.server.once import Once
from fermata.server.quota import Quota
from fermata.server.sync_loop import run_sync_loop
from fermata.server.watch import watch
from fermata.server.web import (
    campaign_page,
    capacity_page,
    fleet_page,
    journal_page,
    pages,
    policy_page,
    query_page,
    replan_page,
    requests_page,
    room_page,
    updates_page,
    what_if_page,
)
from fermata.server.web.render import STATIC
from fermata.services.board import BoardReader, Database
from fermata.services.campaigns import CampaignDesk
from fermata.services.inventory_sources import NOTHING_CONFIGURED, Sources
from fermata.services.maintenance import MaintenanceDesk
from fermata.services.query import QueryDesk
from fermata.services.wall import WallDesk

GRAPH_QUERIES, GRAPH_SECONDS = 15, 5.0  # of one client of Resource Graph's door: the default over there
NO_CHANNELS: Mapping[ChannelKind, Channel] = MappingProxyType({})
SCREENS = (
    pages,
    room_page,
    campaign_page,
    what_if_page,
    replan_page,
    policy_page,
    fleet_page,
    capacity_page,
    requests_page,
    updates_page,
    journal_page,
    query_page,
)
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


def create_app(  # noqa: PLR0913 - the seams of the whole server
    db: Database,
    clock: Clock,
    *,
    new_id: Callable[[str], str],
    demo: DemoInfo | None = None,
    timing: Timing = DEFAULT_TIMING,
    channels: Mapping[ChannelKind, Channel] = NO_CHANNELS,
    nodes: NodeAccess = NO_NODES,
    sources: Sources = NOTHING_CONFIGURED,
    brake: BrakeFile | None = None,
) -> FastAPI:
    """The whole server over one open store. Browsers reach it under LOOPBACK_NAMES; `nodes` says how clients inside
    nodes are known and when they learn what awaits them. `sources` of inventory are asked by the clock while it runs.
    `brake`: this machine's, if it is not where the store's is by itself.
    """
    brake = brake or brake_file(db.url)
    reader = BoardReader(db, brake)
    live = LiveBoard(pages.renderer(reader, clock.now, demo), timing)
    app = FastAPI(
        title="Fermata",
        version=fermata.__version__,
        summary="Planned maintenance of GPU supercomputers.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    desk = MaintenanceDesk(db, nodes.leads, fresh_seconds=timing.refresh / 2)
    long_work = LongWork()
    app.state.context = context = Context(
        db=db,
        now=clock.now,
        new_id=new_id,
        demo=demo,
        reader=reader,
        live=live,
        desk=QueryDesk.of_store(db),
        graph_quota=Quota(most=GRAPH_QUERIES, seconds=GRAPH_SECONDS),
        long_work=long_work,
        kept_work=KeptWork(long_work),
        channels=channels,
        maintenance=desk,
        wall=WallDesk(desk),
        campaigns=CampaignDesk(db, brake),
        node_keys=NodeKeys(nodes.secret),
        sources=sources,
        brake=brake,
    )
    app.include_router(api_router)
    app.router.routes.extend(doors.ROUTES)
    for screen in SCREENS:
        app.include_router(screen.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    errors.install(app)
    _stand_before(app, context)
    return app


def _stand_before(app: FastAPI, context: Context) -> None:
    """What every request passes, the last one first."""
    app.add_middleware(Once, context=context, prefix=PREFIX)
    app.add_middleware(Conditional, prefix=PREFIX)
    app.add_middleware(
        GZipMiddleware, minimum_size=1024, exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, LINES_TYPE)
    )
    app.add_middleware(Guard, hosts=frozenset(LOOPBACK_NAMES))
    app.add_middleware(NodeFront, doors=doors.NODE_DOORS)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    tasks = [
        asyncio.create_task(work)
        for work in (context.live.run(), watch(context.db, context.now), run_sync_loop(context), run_asks_loop(context))
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        context.desk.close()
