"""A plan in force that the site does not serve: its window waits as a whole, and no node is taken for nothing."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.simulation import small, stagehand
from tests.simulation.conftest import closed_stores

from fermata.domain.ids import AdapterId
from fermata.domain.reasons import Code
from fermata.domain.routing import PortName, Route, RouteTable
from fermata.domain.run_states import RunState, WindowState
from fermata.store import runs

__all__ = ["closed_stores"]
ALL = frozenset(PortName)


def served(ports: frozenset[PortName]) -> RouteTable:
    return RouteTable(routes=(Route(adapter=AdapterId("boxes"), ports=ports),))


def test_a_window_waits_while_part_of_it_is_served_by_nobody_and_opens_once_it_is(tmp_path: Path) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path)
    rig.site = replace(rig.site, served=served(ALL - {PortName.POWER}))
    rig.conduct(until=small.START + timedelta(hours=1))
    with rig.database.read() as conn:
        (row,) = runs.load_windows(conn, rig.run)
    assert row.state is WindowState.WAITING
    assert row.reason is not None
    assert row.reason.code is Code.SITE_LACKS
    assert "{ports: [power], clusters: [c0]" in str(row.reason)
    assert rig.ops() == ()
    assert not rig.world.steps
    rig.restart()
    rig.site = replace(rig.site, served=served(ALL - {PortName.NOTIFIER}))
    assert rig.conduct().state is RunState.FINISHED
    assert rig.ops()


def test_a_window_that_is_never_served_misses_its_day_and_says_why(tmp_path: Path) -> None:
    rig = stagehand.set_up(stagehand.fresh_sqlite(tmp_path), tmp_path)
    rig.site = replace(rig.site, served=served(ALL - {PortName.WORKLOADS}))
    rig.conduct()
    with rig.database.read() as conn:
        (row,) = runs.load_windows(conn, rig.run)
    assert row.state is WindowState.MISSED
    assert "{ports: [workloads]" in str(row.reason)
    assert not rig.world.steps
