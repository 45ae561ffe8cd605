"""Orders that people end while the conductor runs: what waited for that goes on at once."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.simulation import small, stagehand
from tests.simulation.meddling import MeddlingClock
from tests.simulation.test_repairs import NEVER, NODE, ORDER, ask, ops_of, order, set_up, stored

from fermata.domain.node_states import UnitState
from fermata.domain.operations import UnitOp
from fermata.domain.run_states import RunState
from fermata.services.work_orders import complete_order

pytestmark = pytest.mark.databases("sqlite")

HOUR = timedelta(hours=1)


def test_node_comes_back_as_soon_as_people_say_that_the_last_order_is_done(store_url: str, tmp_path: Path) -> None:
    """With nothing else that waits. A conductor that starts anew would read it by itself; this one goes on."""
    rig = set_up(store_url, tmp_path, NEVER)
    ask(rig, order())

    def done(_: UnitOp, now: datetime) -> None:
        complete_order(rig.database, ORDER, now=now, actor="operator-1")

    clock = MeddlingClock(rig, lambda op: op.unit == NODE and stored(rig).started is not None, done)
    rig.clock = clock
    _, rig.site = stagehand.open_sim(rig.plan, rig.folder, rig.database, clock, rig.faults, rig.seed)
    assert rig.conduct(until=small.START + 12 * HOUR).state is RunState.FINISHED
    assert clock.at is not None
    (op,) = ops_of(rig)
    assert op.state is UnitState.RETURNED
    assert op.finished_at is not None
    assert op.finished_at - clock.at < 4 * HOUR
