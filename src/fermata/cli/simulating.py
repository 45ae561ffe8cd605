"""Settings, and conducting on a simulated fleet in virtual time: shared by `demo` and `serve --simulate`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import typer

from fermata.domain.ids import CampaignId
from fermata.domain.operations import Run
from fermata.domain.run_states import ReplanMode
from fermata.execution.embedded import conduct
from fermata.execution.ownership import HeldElsewhere, Outdated
from fermata.services import records, runs
from fermata.services.errors import Refusal
from fermata.services.replans import StoreReplanner
from fermata.services.room_telling import StoreRooms
from fermata.settings import BadSetting, Settings, read_settings
from fermata.wiring import clocks
from fermata.wiring.aside import ChildAside
from fermata.wiring.clocks import CampaignClock
from fermata.wiring.conducting import open_simulated_site
from fermata.wiring.stores import Database, open_brake

LEAD = timedelta(minutes=30)  # of virtual time before the first window: the night before it shows nothing


def chosen_settings(**given: Any) -> Settings:
    """The settings with the options given. Raises typer.BadParameter."""
    try:
        return read_settings(**given)
    except BadSetting as bad:
        raise typer.BadParameter(str(bad)) from bad


def begin_run(
    database: Database,
    campaign: CampaignId,
    clock: CampaignClock,
    *,
    actor: str,
    replan: ReplanMode | None = None,
) -> Run:
    """Starts the plan in force, or lets the live run go over to it; the clock goes forward to shortly before its work.

    Raises Refusal, as `services.runs.start` does.
    """
    if records.find_run(database, campaign) is None:
        in_force = next(c.plan for c in records.list_imports(database).campaigns if c.id == campaign)
        windows = records.find_plan(database, in_force).windows if in_force else ()
        first = min((window.start for window in windows), default=clock.now())
        clock.jump_to(max(clock.now(), first - LEAD))
    return runs.start(database, campaign, now=clock.now(), actor=actor, new_id=clocks.mint_id, replan=replan)


def conduct_simulated(
    database: Database,
    run: Run,
    clock: CampaignClock,
    *,
    seed: int,
    log: Path,
    stop: Callable[[], bool],
) -> Run:
    """Conducts until the run is over or `stop` turns true, from the instant at which it was left. Returns the run.

    Raises Refusal while another worker conducts it.
    """
    clock.jump_to(max(clock.now(), run.clock_at))
    site = open_simulated_site(database, run.campaign, clock=clock, seed=seed, log=log)
    site = replace(site, replanner=StoreReplanner(database, clocks.mint_id, ChildAside()), rooms=StoreRooms(database))
    settings = read_settings()
    brake = open_brake(database.url, settings)
    try:
        return conduct(database, site, clock, run.id, stop=stop, brake=brake, has_trains=settings.trains)
    except (HeldElsewhere, Outdated) as held:
        raise Refusal(held.why) from held
