"""The demo's line over a small scenario: what it said, and another process's view of it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.formats.conftest import Small

from fermata.cli.demo_line import DemoLine
from fermata.domain.report import Report
from fermata.formats.scenario import read_scenario
from fermata.services.report import make_report
from fermata.services.run_views import RunStatus
from fermata.wiring.clocks import CampaignClock
from fermata.wiring.stores import open_database

AS_FAST_AS_IT_GOES = 100_000.0


def ignore(*_: object) -> None:
    """Hears everything and does nothing."""


@dataclass(kw_only=True)
class Listener:
    """A teller that keeps what it was told; `heard` is called with each event's name."""

    heard: Callable[[str], None] = ignore
    events: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, event: str, sentence: str, **facts: Any) -> None:
        self.events.append((event, sentence))
        self.heard(event)

    def begin(self, step: str, sentence: str) -> None:
        self.tell(f"{step}.begin", sentence)

    def finish(self, step: str, sentence: str, seconds: float, **facts: Any) -> None:
        self.tell(f"{step}.finish", sentence)

    def status(self, status: RunStatus) -> None:
        self.heard("status")

    def close(self) -> None:
        self.heard("close")

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]


def small_scenario(folder: Path) -> Small:
    """Every customer has an approver, every version is known; one node is out of service before."""
    folder.mkdir(exist_ok=True)
    small = Small(folder)
    small.replace("policy.yaml", "approvers: []", "approvers: [meridian-infra]")
    small.replace("campaign.yaml", "at_once_fraction: 0.21", "at_once_fraction: 1.0")
    small.replace("fleet/nodes.csv", "out_of_service,,2026.1.0", "out_of_service,28.39,2025.10.0")
    small.replace("fleet/devices.csv", "beta-r0,tor_os,", "beta-r0,tor_os,4.11")
    return small


def play(
    folder: Path,
    heard: Callable[[DemoLine, str], None] = ignore,
    *,
    speed: float = AS_FAST_AS_IT_GOES,
    temporal: str | None = None,
) -> Listener:
    """One process of the demo, from wherever the store in `folder` is, until it ends or `heard` stops it."""
    scenario = read_scenario(
        folder / "small" if (folder / "small").exists() else small_scenario(folder / "small").folder
    )
    database = open_database(f"sqlite:///{folder / 'demo.db'}")
    start = scenario.campaign.planned_as_of
    assert start is not None
    teller = Listener()
    line = DemoLine(
        database=database,
        scenario=scenario,
        clock=CampaignClock(start, speed),
        world_log=folder / "world.jsonl",
        teller=teller,
        seed=1,
        temporal=temporal,
        stop=threading.Event(),
    )
    teller.heard = lambda event: heard(line, event)
    try:
        line.run()
        if not line.stop.is_set():
            line.conduct_tail()  # to the last repair: how far the tail gets beside the line is a matter of timing
    finally:
        database.close()
    return teller


def report_of(folder: Path) -> Report:
    database = open_database(f"sqlite:///{folder / 'demo.db'}")
    try:
        return make_report(database)
    finally:
        database.close()
