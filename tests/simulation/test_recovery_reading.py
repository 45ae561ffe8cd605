"""What roll-backs cost the store: every five minutes they are gone on with, and read what they touch, not the run."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_gates import BAD_OS, OS, WAITING, states, three_windows
from tests.simulation.test_recovery import BACK, nodes, roll_back, versions

from fermata.domain.gates import GateVerdict
from fermata.domain.ids import NodeId
from fermata.execution import recovering
from fermata.services import recovery
from fermata.sim.fates import NO_FAULTS
from fermata.store import unit_ops

pytestmark = pytest.mark.databases("sqlite")


class Reads:
    """How many rows of units each look read: to judge what stopped, and to go on with what was ordered."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._rows = 0
        self.judged: list[int] = []
        self.ordered: list[int] = []
        to_op = unit_ops.to_op

        def read(row: Any) -> object:
            self._rows += 1
            return to_op(row)

        patch.setattr(unit_ops, "to_op", read)
        for name, found in (("_order_stopped", self.judged), ("begin_ordered", self.ordered)):
            patch.setattr(recovering, name, self._counting(getattr(recovering, name), found))

    def _counting(self, call: Callable[..., None], found: list[int]) -> Callable[..., None]:
        def counted(*args: object) -> None:
            before = self._rows
            call(*args)
            found.append(self._rows - before)

        return counted

    def forget(self) -> None:
        self.judged.clear()
        self.ordered.clear()


def test_what_gates_stopped_is_judged_again_only_where_something_moved(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = three_windows(store_url, tmp_path)
    rig.conduct(until=small.START + WAITING)
    reads = Reads(monkeypatch)
    roll_back(rig)
    rig.conduct(until=rig.clock.now() + timedelta(hours=8))
    assert states(rig)[OS].judged.verdict is GateVerdict.ROLL_BACK
    opened = {op.window for op in rig.ops()}
    assert all(set(nodes(rig, cluster).values()) <= BACK for cluster in ("c0", "c1"))
    assert versions(rig, "c1", "host_os") == {"1.0"}, "what came later is rolled back, too"
    assert sum(rows > 0 for rows in reads.judged) > 3, "of three windows, more than once as their units move"
    reads.forget()
    rig.conduct(until=rig.clock.now() + timedelta(hours=6))
    assert {op.window for op in rig.ops()} == opened
    assert len(reads.judged) > 3
    assert set(reads.judged[1:]) == {0}, "the first look of a conductor that starts reads all of it"


def test_orders_are_gone_on_with_by_the_rows_that_they_touch(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = three_windows(store_url, tmp_path, faults=NO_FAULTS)
    rig.conduct(until=small.START + timedelta(hours=5))
    reads = Reads(monkeypatch)
    asked = recovery.Asked(updates=frozenset({OS}), nodes=frozenset({NodeId("c0-n003"), NodeId("c0-n004")}))
    recovery.recover(rig.database, rig.run, asked, recovery.Word(actor="ann", why="they crash", at=rig.clock.now()))
    rig.conduct(until=rig.clock.now() + timedelta(hours=3))
    assert rig.world.nodes[NodeId("c0-n003")].versions["host_os"] == "1.0"
    assert len(rig.ops()) > 30
    assert set(reads.ordered[1:]) == {0, 2}, "the first look takes them out, so all that is open is read anew"


def test_gate_that_nobody_stopped_reads_nothing(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(monkeypatch)
    rig = stagehand.set_up(store_url, tmp_path, faults=BAD_OS)
    rig.conduct(until=small.START + timedelta(hours=3))
    assert (reads.judged, set(reads.ordered)) == ([], {0})
