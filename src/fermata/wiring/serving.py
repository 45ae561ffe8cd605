"""The server over a store."""

from dataclasses import replace

from fermata.ports import Clock
from fermata.server.callers import NO_NODES, NodeAccess
from fermata.server.demo import DemoInfo
from fermata.server.identity.admission import LOCAL_ADMISSION, Admission
from fermata.server.serving import Application
from fermata.services.inventory_sources import NOTHING_CONFIGURED, Sources
from fermata.settings import Settings
from fermata.store.database import Database
from fermata.wiring.clocks import mint_id, utc_now
from fermata.wiring.stores import open_brake
from fermata.wiring.telling import open_channels


def make_app(  # noqa: PLR0913 - the seams of the whole server
    database: Database,
    clock: Clock,
    *,
    simulated_at: float | None,
    settings: Settings,
    nodes: NodeAccess = NO_NODES,
    sources: Sources = NOTHING_CONFIGURED,
    access: Admission = LOCAL_ADMISSION,
) -> Application:
    """Board, API and doors over one store. `simulated_at`: the speed of a simulated fleet, None where it is real."""
    from fermata.server.app import create_app  # noqa: PLC0415 - doors and API take a second; most commands serve nothing
    from fermata.server.live import Timing  # noqa: PLC0415 - likewise

    demo = None if simulated_at is None else DemoInfo(speed=simulated_at)
    channels = open_channels(settings, clock)
    brake = open_brake(database.url, settings)
    return create_app(
        database,
        clock,
        new_id=mint_id,
        demo=demo,
        timing=Timing(warms=True),
        channels=channels,
        nodes=nodes,
        sources=sources,
        brake=brake,
        access=replace(access, now=utc_now),
    )
