"""The composition root: settings in, objects out. The only module that knows which world the ports stand for."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import fermata
from fermata.adapters.cloud_events_webhook import CloudEventsWebhook
from fermata.adapters.event_grid_webhook import EventGridWebhook
from fermata.adapters.incident_api import IncidentApi
from fermata.adapters.inventory_http import Access
from fermata.adapters.outbound import Outbound
from fermata.adapters.prometheus import PrometheusMetrics
from fermata.adapters.secrets import bind, in_context
from fermata.adapters.smtp import Mail, MailServer
from fermata.adapters.status_page import StatusPage
from fermata.adapters.vault import Vault
from fermata.domain.ids import CampaignId, RunId, WindowId
from fermata.domain.subscriptions import ChannelKind
from fermata.execution.delivering import PostOffice
from fermata.execution.parts import Parts, Tick
from fermata.formats.brake import BrakeFile, brake_file
from fermata.formats.metrics import read_metrics
from fermata.ports import Channel, Clock, Metrics, Site
from fermata.server.callers import NO_NODES, NodeAccess
from fermata.server.demo import DemoInfo
from fermata.server.identity.admission import LOCAL_ADMISSION, Admission
from fermata.server.serving import Application
from fermata.services.inventory_sources import NOTHING_CONFIGURED, Sources
from fermata.services.replans import StoreReplanner
from fermata.services.room_telling import StoreRooms
from fermata.services.site_served import note_served
from fermata.settings import Settings, read_settings
from fermata.sim.clock import IdleClock, SharedClock, SystemClock, VirtualClock
from fermata.sim.fates import Faults
from fermata.sim.site import open_site as open_simulated_ports
from fermata.sim.world import open_world
from fermata.store import inventory, plans
from fermata.store.database import Database, OtherRelease, StoreUnavailable
from fermata.store.leases import LEAD
from fermata.store.opening import open_database
from fermata.store.wakes import listening
from fermata.wiring.errors import SiteUnusable
from fermata.wiring.named_secrets import find_password, find_seal_key, open_secrets, read_node_secret
from fermata.wiring.site import RealSite, open_site
from fermata.wiring.sources import open_sources

__all__ = [
    "CampaignClock",
    "Database",
    "IdleClock",
    "OtherRelease",
    "RealSite",
    "SharedClock",
    "SiteUnusable",
    "StoreUnavailable",
    "SystemClock",
    "UtcClock",
    "find_seal_key",
    "in_context",
    "listening",
    "make_app",
    "mint_id",
    "open_brake",
    "open_channels",
    "open_database",
    "open_metrics",
    "open_office",
    "open_secrets",
    "open_simulated_site",
    "open_site",
    "open_site_parts",
    "open_sources",
    "read_node_secret",
    "utc_now",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAY_SECONDS = 1.0  # of real time: a wait that is shorter costs less here than by way of the engine's timers
HELD_SECONDS = 0.5  # of real time until a part is looked at again that another worker holds
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, kw_only=True)
class TemporalPlace:
    """Where Temporal answers, and which of its queues is ours."""

    address: str
    namespace: str = "default"
    task_queue: str = "fermata"


class Driver(Protocol):
    """A durable engine with a worker of this process behind it."""

    def wake(self, run: RunId) -> None:
        """See the port Engine."""
        ...

    def work(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """Works until `stop` is set; `ready` is called once tasks come in."""
        ...


class CampaignClock:
    """The virtual clock that server and conductor share; it can be set forward while nothing is conducted."""

    def __init__(self, start: datetime, speed: float) -> None:
        self._speed = speed
        self._clock: VirtualClock | IdleClock = VirtualClock(start, speed)

    def now(self) -> datetime:
        """Aware UTC."""
        return self._clock.now()

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        """Returns at `instant`, or earlier when `stop` turns true: the time it is then."""
        return self._clock.wait_until(instant, stop)

    def jump_to(self, instant: datetime) -> None:
        """It is `instant` from now on."""
        self._clock = VirtualClock(instant, self._speed)

    def flow_from(self, instant: datetime) -> IdleClock:
        """It is `instant` now, and time goes on by itself while nobody works, until it is set forward again."""
        self._clock = clock = IdleClock(instant, self._speed)
        return clock


def open_simulated_site(
    database: Database, campaign: CampaignId, *, clock: Clock, seed: int, log: Path, with_jobs: bool = False
) -> Site:
    """All ports over a simulated fleet that begins as the campaign's first plan found it.

    `log` is what was done to it since; the file grows with every command and brings the same fleet back. `with_jobs`:
    its nodes have jobs, which costs too much where months go by in minutes.
    """
    with database.read() as conn:
        first = plans.load_plan(conn, plans.list_plans(conn, campaign)[0].id)
        fleet = plans.load_fleet_snapshot(conn, first.inputs.fleet)
        catalogue = inventory.load_catalogue(conn)
        fallout = inventory.load_campaign(conn, campaign).fallout
    faults = replace(Faults(), fallout=fallout.fraction, mean_days_to_repair=fallout.mean_days_to_repair)
    site = open_simulated_ports(
        open_world(fleet, catalogue, faults=faults, seed=seed, path=log), clock, with_jobs=with_jobs
    )
    return replace(site, metrics=open_metrics(read_settings().metrics))


class PacedClock(Clock, Protocol):
    """A clock that can tell how long a wait takes in real time."""

    def seconds_until(self, instant: datetime) -> float:
        """Of real time."""
        ...

    def working(self) -> AbstractContextManager[None]:
        """Around everything that is due at an instant."""
        ...

    def note(self, due: Mapping[str, datetime | None]) -> None:
        """When there is something to do, by who does it; None: never again."""
        ...


def open_site_parts(database: Database, clock: PacedClock, site: RealSite, settings: Settings) -> Parts:
    """What one process of several conducts of any run on a real site. Raises SiteUnusable."""
    note_served(database, site.book.table, now=clock.now())
    site.require(database)
    metrics = open_metrics(settings.metrics)
    rooms = StoreRooms(database, site.book.bridge)
    ports = replace(site.over(database), replanner=StoreReplanner(database, mint_id), metrics=metrics, rooms=rooms)
    return Parts(
        database=database,
        open_site=lambda _campaign: ports,
        clock=clock,
        brake=open_brake(database.url, settings),
        has_trains=settings.trains,
    )


class NoDriver(Exception):
    """The driver that was asked for is not installed."""


class Unreachable(Exception):
    """The durable engine does not answer."""


def open_simulated_parts(database: Database, clock: PacedClock, *, seed: int, log: Path) -> Parts:
    """What one process of several conducts of any run, on a simulated fleet whose memory they share."""
    sites: dict[CampaignId, Site] = {}

    def open_site(campaign: CampaignId) -> Site:
        if campaign not in sites:
            site = open_simulated_site(database, campaign, clock=clock, seed=seed, log=log, with_jobs=True)
            planner, rooms = StoreReplanner(database, mint_id), StoreRooms(database)
            sites[campaign] = replace(site, replanner=planner, rooms=rooms)
        return sites[campaign]

    return Parts(database=database, open_site=open_site, clock=clock)


def require_temporal() -> None:
    """Raises NoDriver without the extra `temporal`."""
    if find_spec("temporalio") is None:
        raise NoDriver("Temporal is not installed here: pip install 'fermata[temporal]'")


def open_temporal(
    parts: Parts, place: TemporalPlace, clock: PacedClock, *, ticks_per_second: float | None = None
) -> Driver:
    """The durable engine over `parts`. Raises NoDriver without the extra `temporal`."""
    require_temporal()
    from fermata.adapters import durable  # noqa: PLC0415 - an extra: most installations have no use for it

    begun: set[str] = set()

    def tick_once(run: RunId, window: WindowId) -> Tick:
        with clock.working():
            found = parts.tick(run, window)
            clock.note(_due(found, run, window, begun))
        return found

    def tick(run: str, window: str) -> durable.Seen:
        part = RunId(run), WindowId(window)
        leaves_at = time.monotonic() + STAY_SECONDS
        try:
            first = found = tick_once(*part)
            while not (found.is_over or found.is_held or found.rouses) and found.cohorts == first.cohorts:
                wait_seconds = clock.seconds_until(found.again_at)
                if time.monotonic() + wait_seconds > leaves_at:
                    break
                time.sleep(wait_seconds)
                found = tick_once(*part)
            parts.release_part(*part)
        except KeyError as unknown:
            raise durable.UnknownRun(run) from unknown
        except OtherRelease:  # this process ends; the next look is that of another
            return durable.Seen(is_over=False, wait_seconds=HELD_SECONDS)
        wait_seconds = HELD_SECONDS if found.is_held else clock.seconds_until(found.again_at)
        return durable.Seen(
            is_over=found.is_over, wait_seconds=wait_seconds, rouses=found.rouses, cohorts=list(found.cohorts)
        )

    at = durable.Place(address=place.address, namespace=place.namespace, task_queue=place.task_queue)
    found = durable.Temporal(place=at, tick=tick, build=fermata.__version__, ticks_per_second=ticks_per_second)
    return _Reached(found, durable.Unreachable)


@dataclass(frozen=True)
class _Reached:
    """A driver whose error has a name here: its module is not there without the extra."""

    driver: Driver
    error: type[Exception]

    def wake(self, run: RunId) -> None:
        """See Driver."""
        self.driver.wake(run)

    def work(self, stop: threading.Event, ready: Callable[[], None]) -> None:
        """See Driver. Raises Unreachable."""
        try:
            self.driver.work(stop, ready)
        except self.error as unreachable:
            raise Unreachable(str(unreachable)) from unreachable


def name_lead(run: RunId) -> str:
    """What the lead of a run is called by a clock that waits for it."""
    return f"{run}/{LEAD}"


def _due(found: Tick, run: str, window: str, begun: set[str]) -> Mapping[str, datetime | None]:
    """When the part that was ticked is due again; cohorts that nobody ticked yet are due at once."""
    due = {f"{run}/{window}": None if found.is_over else found.again_at}
    fresh = {f"{run}/{cohort}" for cohort in found.cohorts} - begun
    begun |= due.keys() | fresh
    return due | dict.fromkeys(fresh, EPOCH)


def open_channels(settings: Settings, clock: Clock) -> Mapping[ChannelKind, Channel]:
    """Every kind of channel that notices are sent by."""
    from fermata.adapters.chat import Chat  # noqa: PLC0415 - Apprise takes a tenth of a second; most commands send nothing

    for name in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)  # below, they log the addresses they call, which are secrets
    outbound = Outbound(allow_local=settings.local_targets, networks=settings.outbound_networks)
    server = MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.smtp_sender,
        user=settings.smtp_user,
        password=find_password(settings),
        starttls=settings.smtp_starttls,
    )
    secrets = open_secrets(settings)
    vault = Vault(settings.channel_secrets, secrets.book.channels, secrets)
    origin = urlsplit(settings.public_url).hostname or "fermata"
    return {
        ChannelKind.EVENT_GRID: EventGridWebhook(outbound, clock, vault),
        ChannelKind.CLOUD_EVENTS: CloudEventsWebhook(outbound, clock, origin, vault),
        ChannelKind.MAIL: Mail(server, clock),
        ChannelKind.CHAT: Chat(outbound),
        ChannelKind.INCIDENT_API: IncidentApi(outbound, clock, vault),
        ChannelKind.STATUS_PAGE: StatusPage(outbound, clock, vault),
    }


def open_office(database: Database, settings: Settings, clock: Clock) -> PostOffice:
    """What delivering notices needs."""
    return PostOffice(
        database=database,
        channels=open_channels(settings, clock),
        clock=clock,
        public_url=settings.public_url or None,
        mail_sender=settings.smtp_sender,
        kept=timedelta(days=settings.notice_days),
    )


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


def open_brake(store_url: str, settings: Settings) -> BrakeFile:
    """The brake of this machine. Neither file nor store need be there."""
    return brake_file(store_url, settings.brake)


class UtcClock:
    """`utc_now` as a clock that nobody waits on, for commands that do one thing and end."""

    def now(self) -> datetime:
        """Aware UTC."""
        return utc_now()

    def wait_until(self, instant: datetime, stop: Callable[[], bool]) -> datetime:
        """Returns at once."""
        return utc_now()


def open_metrics(path: Path | None) -> Metrics | None:
    """What gates may name as evidence beside outcomes, as the file says; None without one. Raises BadInput."""
    if path is None:
        return None
    found = read_metrics(path)
    token = bind(found.token, open_secrets())
    access = Access(url=found.url, scheme="Bearer", token=token, ca_file=found.ca_file)
    return PrometheusMetrics(access=access, rules=found.rules)


def utc_now() -> datetime:
    """The wall clock. Commands that work on real time take their `now` from here, once."""
    return datetime.now(UTC)


def mint_id(prefix: str) -> str:
    """`<prefix>_<ULID>`: 48 bits of milliseconds, 80 random bits; sorts by the time it was minted."""
    number = (int(time.time() * 1000) << 80) | secrets.randbits(80)
    digits = (_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
    return f"{prefix}_{''.join(digits)}"
