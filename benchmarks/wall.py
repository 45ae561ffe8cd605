"""Times the wall of nodes, by a server that has just started: the page at once, in each colouring, and its cells.
January's fleet, or with --nodes 1000000 a made one. SQLite.

Baseline: the picture of the doors, read for the first time, from which every page was painted before.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import harness
from fermata.domain.scheduled_events import Leads
from fermata.formats.scenario import read_scenario
from fermata.server.web import render
from fermata.server.web.fleet_page import SHADE_WORDS
from fermata.services.inventory import ImportSet, import_set
from fermata.services.maintenance import MaintenanceDesk
from fermata.services.wall import WallDesk
from fermata.services.wall_views import Asked, Shade
from fermata.store.database import Database
from fermata.store.opening import open_database
from fleets import write_scenario
from harness import Benchmark, Case, Place, Sample, Watch

NOW = datetime(2026, 2, 1, tzinfo=UTC)
PAGE_SECONDS = 0.5  # until the page stands, at 20,000 nodes
PICTURE = "picture of the doors"


def main() -> None:
    """Imports the fleet once, then measures."""
    options = harness.read_options(__doc__ or "")
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        scenario = write_scenario(Path(name, "scenario"), options.nodes)
        nodes = harness.in_own_process(_import, str(scenario), f"sqlite:///{name}/fleet.db")
        target = PAGE_SECONDS if nodes <= 20_000 else None
        pages = [
            Case(name=f"page by {shade}", run=partial(page, shade), baseline=PICTURE, target_seconds=target)
            for shade in Shade
        ]
        cells = [Case(name=f"cells by {shade}", run=partial(paint, shade), baseline=PICTURE) for shade in Shade]
        harness.run(
            Benchmark(
                name="wall",
                title=f"wall of {nodes:,} nodes, first look",
                cases=[Case(name=PICTURE, run=look), *pages, *cells],
                each_run=lambda: _copied(Path(name, "fleet.db")),
            ),
            options,
        )


def look(place: Place) -> Sample:
    """All that doors answer from."""
    with _opened(place) as desk, Watch() as watch:
        nodes = len(desk.look().fleet.nodes)
    return watch.sample(nodes=nodes)


def page(shade: Shade, place: Place) -> Sample:
    """From the request to the page's text."""
    render.environment()
    with _opened(place) as desk, Watch() as watch:
        wall = WallDesk(desk).glance(Asked(shade=shade))
        assert wall is not None
        text = render.render_page("fleet.html", wall=wall, shades=SHADE_WORDS, cluster="")
    return watch.sample(nodes=wall.nodes, kib=len(text) / 1024)


def paint(shade: Shade, place: Place) -> Sample:
    """What the page asks for then; a wall of too many nodes has counts alone."""
    with _opened(place) as desk, Watch() as watch:
        wall = WallDesk(desk).look(Asked(shade=shade))
        assert wall is not None
    return watch.sample(nodes=wall.nodes, cells=sum(len(cluster.cells) for cluster in wall.clusters))


def _import(scenario: str, store: str) -> int:
    db = open_database(store)
    read = read_scenario(Path(scenario))
    given = ImportSet(fleet=read.fleet, catalogue=read.catalogue, policy=read.policy, campaign=read.campaign)
    import_set(db, given, now=NOW, actor="benchmark")
    db.close()
    return len(read.fleet.nodes)


@contextmanager
def _copied(store: Path) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="fermata-bench-") as name:
        shutil.copy(store, name)
        yield {"store": f"sqlite:///{name}/{store.name}"}


@contextmanager
def _opened(place: Place) -> Iterator[MaintenanceDesk]:
    db: Database = open_database(place["store"])
    yield MaintenanceDesk(db, Leads())
    db.close()


if __name__ == "__main__":
    main()
