"""Builds the server: board, JSON API, static files and one background task that keeps the board fresh."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.staticfiles import StaticFiles

import fermata
from fermata.ports import Clock
from fermata.server import doors, errors
from fermata.server.api import router as api_router
from fermata.server.callers import NO_NODES, NodeAccess, NodeKeys
from fermata.server.context import Context
from fermata.server.demo import DemoInfo
from fermata.server.doors.node_front import NodeFront
from fermata.server.guard import Guard
from fermata.server.live import DEFAULT_TIMING, LiveBoard, Timing
from fermata.server.long_work import MEDIA_TYPE as LINES_TYPE
from fermata.server.long_work import LongWork
from fermata.server.quota import Quota
from fermata.server.web import pages, query_page
from fermata.server.web.render import STATIC
from fermata.services.board import BoardReader, Database
from fermata.services.maintenance import MaintenanceDesk
from fermata.services.query import QueryDesk

GRAPH_QUERIES, GRAPH_SECONDS = 15, 5.0  # of one client of Resource Graph's door: the default over there
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


def create_app(  # noqa: PLR0913 - the seams of the whole server
    db: Database,
    clock: Clock,
    *,
    new_id: Callable[[str], str],
    demo: DemoInfo | None = None,
    hosts: Iterable[str] = LOOPBACK_NAMES,
    timing: Timing = DEFAULT_TIMING,
    nodes: NodeAccess = NO_NODES,
) -> FastAPI:
    """The whole server over one open store. `hosts` are the names under which browsers may reach it, `nodes` says how
    clients inside nodes are known and when they learn what awaits them.
    """
    reader = BoardReader(db)
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
    app.state.context = Context(
        db=db,
        now=clock.now,
        new_id=new_id,
        demo=demo,
        reader=reader,
        live=live,
        desk=QueryDesk.of_store(db),
        graph_quota=Quota(most=GRAPH_QUERIES, seconds=GRAPH_SECONDS),
        long_work=LongWork(),
        maintenance=MaintenanceDesk(db, nodes.leads, fresh_seconds=timing.refresh / 2),
        node_keys=NodeKeys(nodes.secret),
    )
    app.include_router(api_router)
    app.router.routes.extend(doors.ROUTES)
    app.include_router(pages.router)
    app.include_router(query_page.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    errors.install(app)
    app.add_middleware(
        GZipMiddleware, minimum_size=1024, exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, LINES_TYPE)
    )
    app.add_middleware(Guard, hosts=frozenset(hosts))
    app.add_middleware(NodeFront, doors=doors.NODE_DOORS)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    refreshing = asyncio.create_task(context.live.run())
    try:
        yield
    finally:
        refreshing.cancel()
        with suppress(asyncio.CancelledError):
            await refreshing
        context.desk.close()
