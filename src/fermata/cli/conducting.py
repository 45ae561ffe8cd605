"""Conducting on a real fleet, by real time: what `serve --site`, `worker --site` and `start --site` share."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from fermata.domain.ids import CampaignId
from fermata.domain.operations import Run
from fermata.domain.run_states import LIVE_RUNS
from fermata.execution.embedded import keeping, work_along
from fermata.services import records, runs
from fermata.settings import Settings
from fermata.wiring.clocks import SystemClock
from fermata.wiring.conducting import open_site_parts
from fermata.wiring.site import open_site
from fermata.wiring.stores import Database, listening

LOOK_SECONDS = 1.0  # for whether the run is over
STOP_SECONDS = 5.0  # for the step under way to end by itself; then the adapters are closed, which ends calls that hang

SiteOption = Annotated[
    Path | None,
    typer.Option(
        "--site",
        help="Conduct it here and now, on the real fleet whose adapters this file describes.",
        show_default=False,
    ),
]


@contextmanager
def conducting(database: Database, settings: Settings, site: Path, over: threading.Event) -> Iterator[threading.Event]:
    """A conductor in a thread of its own, for whatever runs are live, until the block ends; what it holds is free then.

    Nothing begins by itself: a run is live once `fermata start` says so. `over` is set when the conductor fails, so
    that whoever waits for it ends as well. Raises BadInput, SiteUnusable, and at the end what it failed of.
    """
    clock = SystemClock()
    stop, failed = threading.Event(), list[Exception]()
    with open_site(site, clock) as opened, listening(database) as heard:
        parts = open_site_parts(database, clock, opened, settings)

        def work() -> None:
            try:
                with keeping(parts):
                    work_along(parts, stop=stop.is_set, heard=heard)
            except Exception as error:  # noqa: BLE001 - the top of a thread: whoever waits raises it again
                failed.append(error)
                over.set()

        thread = threading.Thread(target=work, name="fermata-conductor", daemon=True)
        thread.start()
        try:
            yield over
        finally:
            stop.set()
            heard.set()
            thread.join(timeout=STOP_SECONDS)
    thread.join(timeout=STOP_SECONDS)
    if failed:
        raise failed[0]


def check_site(database: Database, site: Path) -> None:
    """Before anything is started. Raises BadInput, SiteUnusable."""
    with open_site(site, SystemClock()) as opened:
        opened.require(database)


def live_run(database: Database, campaign: CampaignId | None) -> Run | None:
    """The run of the campaign, None for the only one, that may go on. Raises Refusal."""
    run = records.find_run(database, campaign or runs.only_campaign(database))
    return run if run is not None and run.state in LIVE_RUNS else None


def conduct_until_over(database: Database, settings: Settings, site: Path, campaign: CampaignId) -> Run:
    """Conducts in the foreground until the campaign's run is over, or somebody ends the process: the run as it is then.

    Raises BadInput, SiteUnusable.
    """
    ended, over = threading.Event(), threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with conducting(database, settings, site, over):
            while not ended.wait(LOOK_SECONDS) and not over.is_set() and live_run(database, campaign) is not None:
                pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    run = records.find_run(database, campaign)
    assert run is not None, "runs are not deleted"
    return run
