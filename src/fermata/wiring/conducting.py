"""What a process that conducts works with: a fleet behind the ports, real or simulated, and who keeps the time."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import fermata
from fermata.adapters.inventory_http import Access
from fermata.adapters.prometheus import PrometheusMetrics
from fermata.adapters.secrets import bind
from fermata.domain.deadline_risk import DeadlineRisk
from fermata.domain.ids import CampaignId, RunId, WindowId
from fermata.execution.parts import Parts, Tick
from fermata.formats.metrics import read_metrics
from fermata.ports import Clock, Metrics, Site
from fermata.services.replans import StoreReplanner
from fermata.services.room_telling import StoreRooms
from fermata.services.site_served import note_served
from fermata.settings import Settings, read_settings
from fermata.sim.fates import Faults
from fermata.sim.site import open_site as open_simulated_ports
from fermata.sim.world import open_world
from fermata.store import inventory, plans
from fermata.store.database import Database, OtherRelease
from fermata.store.leases import LEAD
from fermata.wiring.aside import ChildAside
from fermata.wiring.clocks import PacedClock, mint_id
from fermata.wiring.named_secrets import open_secrets
from fermata.wiring.site import RealSite
from fermata.wiring.stores import open_brake

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAY_SECONDS = 1.0  # of real time: a wait that is shorter costs less here than by way of the engine's timers
HELD_SECONDS = 0.5  # of real time until a part is looked at again that another worker holds


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


class NoDriver(Exception):
    """The driver that was asked for is not installed."""


class Unreachable(Exception):
    """The durable engine does not answer."""


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


def open_site_parts(database: Database, clock: PacedClock, site: RealSite, settings: Settings) -> Parts:
    """What one process of several conducts of any run on a real site. Raises SiteUnusable."""
    note_served(database, site.book.table, now=clock.now())
    site.require(database)
    metrics = open_metrics(settings.metrics)
    rooms = StoreRooms(database, site.book.bridge)
    planner = StoreReplanner(database, mint_id, ChildAside())
    ports = replace(site.over(database), replanner=planner, metrics=metrics, rooms=rooms)
    return Parts(
        database=database,
        open_site=lambda _campaign: ports,
        clock=clock,
        brake=open_brake(database.url, settings),
        has_trains=settings.trains,
    )


def open_simulated_parts(database: Database, clock: PacedClock, *, seed: int, log: Path) -> Parts:
    """What one process of several conducts of any run, on a simulated fleet whose memory they share."""
    sites: dict[CampaignId, Site] = {}
    aside = ChildAside[DeadlineRisk]()

    def open_site(campaign: CampaignId) -> Site:
        if campaign not in sites:
            site = open_simulated_site(database, campaign, clock=clock, seed=seed, log=log, with_jobs=True)
            planner, rooms = StoreReplanner(database, mint_id, aside), StoreRooms(database)
            sites[campaign] = replace(site, replanner=planner, rooms=rooms)
        return sites[campaign]

    return Parts(database=database, open_site=open_site, clock=clock)


def open_metrics(path: Path | None) -> Metrics | None:
    """What gates may name as evidence beside outcomes, as the file says; None without one. Raises BadInput."""
    if path is None:
        return None
    found = read_metrics(path)
    token = bind(found.token, open_secrets())
    access = Access(url=found.url, scheme="Bearer", token=token, ca_file=found.ca_file)
    return PrometheusMetrics(access=access, rules=found.rules)


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
