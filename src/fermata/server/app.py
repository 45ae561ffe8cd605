"""Builds the server: board, API, doors, and the background tasks that keep board, requests and inventory fresh."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from types import MappingProxyType, ModuleType
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

import fermata
from fermata.authority.engine import shipped
from fermata.authority.needs_elsewhere import NEEDS
from fermata.domain.identity import Sight
from fermata.domain.subscriptions import ChannelKind
from fermata.formats.brake import BrakeFile, brake_file
from fermata.ports import Channel, Clock
from fermata.server import doors, errors
from fermata.server.api.nouns import PREFIX
from fermata.server.api.problems import describe_problem
from fermata.server.api.routes import ROUTES
from fermata.server.asks_loop import run_asks_loop
from fermata.server.authority import Authority
from fermata.server.banner import Banner
from fermata.server.callers import NO_NODES, NodeAccess, NodeKeys
from fermata.server.conditional import Conditional
from fermata.server.context import Context
from fermata.server.demo import DemoInfo
from fermata.server.doors.node_front import NodeFront, is_for_nodes
from fermata.server.first_look import StillReading, board_is_read, fleet_is_read
from fermata.server.guard import Guard
from fermata.server.guarded_routes import guard_routes, seal, was_judged
from fermata.server.identity.admission import LOCAL_ADMISSION, Admission
from fermata.server.identity.doorkeeper import Doorkeeper
from fermata.server.identity.known import identity_of
from fermata.server.kept_work import KeptWork
from fermata.server.limits.again import Again
from fermata.server.limits.bounds import BOUNDS, Bounds
from fermata.server.limits.front import Limits
from fermata.server.live import DEFAULT_TIMING, LiveBoard, Timing
from fermata.server.long_work import MEDIA_TYPE as LINES_TYPE
from fermata.server.long_work import LongWork
from fermata.server.metering import run_in_threadpool
from fermata.server.once import Once
from fermata.server.quota import Quota
from fermata.server.sights import Sights
from fermata.server.sync_loop import run_sync_loop
from fermata.server.unseen import Unseen
from fermata.server.warming import say_reading, warm_desks
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
    sign_in_page,
    updates_page,
    what_if_page,
)
from fermata.server.web.assets import STATIC, Assets
from fermata.server.web.refused_page import RefusedPages
from fermata.services.board import BoardReader, Database
from fermata.services.campaigns import CampaignDesk
from fermata.services.inventory_sources import NOTHING_CONFIGURED, Sources
from fermata.services.maintenance import MaintenanceDesk
from fermata.services.query import QueryDesk
from fermata.services.sights import find_phrases
from fermata.services.wall import WallDesk

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
    sign_in_page,
)


READ_FIRST: Mapping[ModuleType, tuple[Callable[..., object], ...]] = MappingProxyType(
    {
        pages: (board_is_read,),
        campaign_page: (board_is_read,),
        requests_page: (fleet_is_read,),
        updates_page: (fleet_is_read,),
        policy_page: (fleet_is_read,),
    }
)

PACKING = 5  # of zlib's nine: the smallest takes the loop seven times as long, 70 ms for 2 MB, and saves a quarter
GUARDED = [Depends(was_judged)]


class _Application(FastAPI):
    """Describes the documents that say what was wrong, too, of which its routes know the name alone."""

    def openapi(self) -> dict[str, Any]:
        """As JSON has it."""
        if self.openapi_schema is None:
            self.openapi_schema = super().openapi()
            self.openapi_schema["components"]["schemas"] |= describe_problem()
        return self.openapi_schema


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
    access: Admission = LOCAL_ADMISSION,
    bounds: Bounds = BOUNDS,
) -> FastAPI:
    """The whole server over one open store. `access` says who is let in, under which names of the server; `nodes` how
    clients inside nodes are known, and when they learn what awaits them. `sources` of inventory are asked by the clock.
    `brake`: this machine's, if not where the store's is by itself. `bounds`: how much one caller may ask.
    """
    brake = brake or brake_file(db.url)
    app = _Application(
        title="Fermata",
        version=fermata.__version__,
        summary="Planned maintenance of GPU supercomputers.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        dependencies=GUARDED,
    )
    long_work, node_keys, quota = LongWork(), NodeKeys(nodes.secret), _graph_quota(bounds)
    identity = identity_of(db, access, node_keys, clock.now, is_demo=demo is not None)

    def look_over(store: Database) -> Context:
        desk, reader = MaintenanceDesk(store, nodes.leads, fresh_seconds=timing.refresh / 2), BoardReader(store, brake)
        return Context(
            db=store,
            now=clock.now,
            new_id=new_id,
            demo=demo,
            reader=reader,
            live=LiveBoard(pages.renderer(reader, clock.now, demo), timing),
            desk=QueryDesk.of_store(store),
            graph_quota=quota,
            long_work=long_work,
            kept_work=KeptWork(long_work),
            channels=channels,
            maintenance=desk,
            wall=WallDesk(desk),
            campaigns=CampaignDesk(store, brake),
            node_keys=node_keys,
            sources=sources if store is db else NOTHING_CONFIGURED,
            brake=brake,
            identity=identity,
        )

    app.state.context = context = look_over(db)
    app.state.sights = Sights(context, look_over)
    _add_routes(app)
    _stand_before(app, context, access, bounds)
    return app


def _add_routes(app: FastAPI) -> None:
    app.state.description, app.state.describing = None, asyncio.Lock()
    app.add_route("/api/v1/openapi.json", partial(_description, app), name="openapi", include_in_schema=False)
    app.router.routes.extend(_routes())


async def _description(app: FastAPI, _: Request) -> Response:
    """What the API is. It is worked out when it is first asked for, which takes half a second."""
    async with app.state.describing:
        if app.state.description is None:
            app.state.description = await run_in_threadpool(lambda: JSONResponse(app.openapi()).body)
    return Response(app.state.description, media_type="application/json")


def _graph_quota(bounds: Bounds) -> Quota:
    return Quota(most=bounds.graph_queries, seconds=bounds.graph_seconds)


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Of every application of this process: to find out what all of them take and answer is a second of work."""
    app = FastAPI(dependencies=GUARDED, openapi_url=None, docs_url=None, redoc_url=None)
    app.router.routes.extend([*ROUTES, *doors.ROUTES])
    for screen in SCREENS:
        app.include_router(screen.router, dependencies=[Depends(first) for first in READ_FIRST.get(screen, ())])
    app.mount("/static", Assets(directory=STATIC), name="static")
    return tuple(app.router.routes)


def _stand_before(app: FastAPI, context: Context, access: Admission, bounds: Bounds) -> None:
    """What every request passes, the last one first. Raises RouteUnguarded for what nobody said the needs of."""
    errors.install(app)

    def wait(_request: Request, _error: Exception) -> Response:
        return say_reading(context)

    app.add_exception_handler(StillReading, wait)
    routes = guard_routes(app, NEEDS)
    seal(app)
    sights = app.state.sights

    def phrases(sight: Sight) -> Mapping[str, bool]:
        return find_phrases(context.db, sights.look(sight, to_change=False).db)

    app.add_middleware(Unseen, foreign=sights.foreign, phrases=phrases)
    app.add_middleware(Banner, db=context.db, now=context.now)
    app.add_middleware(Authority, context=context, routes=routes, engine=shipped())
    app.add_middleware(Once, context=context, prefix=PREFIX)
    app.add_middleware(Conditional, prefix=PREFIX)
    app.add_middleware(
        GZipMiddleware,
        minimum_size=1024,
        compresslevel=PACKING,
        exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, LINES_TYPE),
    )
    again = Again(bounds)
    app.add_middleware(Limits, bounds=bounds, again=again)  # whoever finds out who calls is added below it
    app.add_middleware(RefusedPages)
    app.add_middleware(Guard, hosts=access.names)
    app.add_middleware(NodeFront, doors=doors.NODE_DOORS, bounds=bounds)
    for_nodes = is_for_nodes(doors.NODE_DOORS)
    app.add_middleware(Doorkeeper, identity=context.identity, is_for_nodes=for_nodes, again=again, bounds=bounds)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    app.state.sights.run_on(asyncio.get_running_loop())
    works = [context.live.run(), watch(context.db, context.now), run_sync_loop(context), run_asks_loop(context)]
    if context.live.timing.warms:
        context.warmth.begin()
        works.append(warm_desks(context))
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        app.state.sights.close()
        context.desk.close()
