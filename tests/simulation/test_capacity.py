"""The capacity ledger of conducted campaigns: it balances at every instant, and 'ready' is never told too early."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.simulation import small, stagehand
from tests.simulation.test_seeds import HARSH

from fermata.domain.capacity_ledger import Account, EntryKind, GroupBy, list_open, nodes_needed, sum_up, total_of
from fermata.domain.fleet import NodeState
from fermata.domain.ids import StepKey
from fermata.domain.node_states import UnitKind, UnitState
from fermata.domain.observations import Answer, Denied
from fermata.domain.run_states import RunState
from fermata.ports import Ask, Refused, WorkloadManager
from fermata.services.capacity import show_capacity
from fermata.services.report import make_report
from fermata.services.runs import status
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.store import capacity, inventory, journal

pytestmark = pytest.mark.databases("sqlite")

SEEDS = range(3)


class Auditor:
    """Holds ledger, rows and world beside each other at every point at which the conductor has written."""

    def __init__(self, rig: stagehand.Rig) -> None:
        self.rig = rig
        self.looks = 0
        self.owed_at_most = 0
        self.ready: dict[str, datetime] = {}

    def __call__(self, point: str) -> None:
        if point != "recorded":
            return
        self.looks += 1
        with self.rig.database.read() as conn:
            entries = capacity.load_entries(conn, self.rig.run)
            accounts = capacity.load_accounts(conn, [self.rig.run])
        ops = [op for op in self.rig.ops() if op.kind is UnitKind.NODE]
        owed = list_open(entries)
        assert owed == {(op.window, op.unit) for op in ops if op.state in small.OUT}
        total = total_of(accounts, sum_up(entries))
        assert total.taken == total.closed + total.owed
        assert total.owed == len(owed)
        self.owed_at_most = max(self.owed_at_most, len(owed))
        for account in accounts:
            self._never_early(account, ops)

    def _never_early(self, account: Account, ops: list[stagehand.UnitOp]) -> None:
        if account.ready_at is None:
            return
        back = [op for op in ops if op.window == account.window and op.state is UnitState.RETURNED]
        running = [op for op in back if self._serves_proven(op.unit)]
        assert len(running) >= nodes_needed(account.capacity_taken, account.threshold), account.window
        assert self.ready.setdefault(account.window, account.ready_at) == account.ready_at

    def _serves_proven(self, name: str) -> bool:
        machine = self.rig.world.nodes[small.NodeId(name)]
        machine.settle(self.rig.clock.now())
        return machine.in_service and not machine.locked and set(machine.versions.values()) == {"2.0"}


def set_up(url: str, folder: Path, faults: Faults, seed: int = 1) -> stagehand.Rig:
    return stagehand.set_up(url, folder, fleet=small.fleet(clusters=2, nodes=16), faults=faults, seed=seed)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", SEEDS)
def test_taken_is_returned_and_kept_out_and_owed_at_every_instant(tmp_path: Path, seed: int) -> None:
    rig = set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, HARSH, seed)
    auditor = Auditor(rig)
    assert rig.conduct(crash=auditor).state is RunState.FINISHED
    assert auditor.looks > 50
    assert auditor.owed_at_most >= 16
    assert auditor.ready.keys() == {"win-c0", "win-c1"}


def test_ready_is_told_once_with_its_time_and_with_it_the_report_agrees(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, HARSH)
    rig.conduct()
    with rig.database.read() as conn:
        told = list(journal.read_events(conn, {"window.ready"}))
    assert Counter(line.subject for line in told) == {"window:win-c0": 1, "window:win-c1": 1}
    reported = {line.id: line.ready_at for line in make_report(rig.database).windows}
    shown = {window.window: window.ready_at for window in status(rig.database).windows}
    ready = {line.subject.removeprefix("window:"): line.data["ready_at"] for line in told}
    assert shown == reported == {name: datetime.fromisoformat(at) for name, at in ready.items()}


def test_what_is_not_back_is_owed_by_name(store_url: str, tmp_path: Path) -> None:
    never = Faults(fallout=0.2, mean_days_to_repair=400)
    rig = set_up(store_url, tmp_path, never)
    rig.conduct(until=small.NOW + stagehand.hours(24))
    with rig.database.read() as conn:
        owed = {node for _, node in list_open(capacity.load_entries(conn, rig.run))}
    gone = {name for name, machine in rig.world.nodes.items() if machine.gone_since is not None}
    assert owed == gone
    total = show_capacity(rig.database).total
    assert total.capacity_owed == len(gone - {"c0-n000", "c1-n000"}) > 1
    assert (total.windows, total.windows_ready, total.ready_at) == (2, 0, None)
    assert make_report(rig.database).capacity.owed == total.capacity_owed
    found = status(rig.database)
    assert found.baseline_in_service - found.in_service == total.capacity_owed


@pytest.mark.databases("sqlite", "postgresql")
def test_every_grouping_adds_up_to_the_same(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, NO_FAULTS)
    rig.conduct()
    views = [show_capacity(rig.database, by=by) for by in GroupBy]
    assert {view.total for view in views} == {views[0].total}
    assert [tuple(line.name for line in view.lines) for view in views] == [
        ("lumen",), ("sc",), ("H100",), ("westus",), ("win-c0", "win-c1"),
    ]  # fmt: skip
    assert all(sum(line.taken for line in view.lines) == view.total.taken == 32 for view in views)
    assert (views[0].total.baseline, views[0].total.returned, views[0].total.kept_out) == (30, 30, 2)


def test_a_node_that_the_site_will_not_lock_is_untouched_and_serves_on(store_url: str, tmp_path: Path) -> None:
    rig = set_up(store_url, tmp_path, NO_FAULTS)
    rig.site = replace(rig.site, workloads=Stubborn(rig.site.workloads, "c0-n005"))
    rig.conduct(until=small.START + stagehand.hours(1))  # its switch waits for it: nodes behind that wait, too
    with rig.database.read() as conn:
        kinds = [entry.kind for entry in capacity.load_entries(conn, rig.run) if entry.node == "c0-n005"]
        serving = inventory.load_fleet(conn).nodes[small.NodeId("c0-n005")].state
    assert kinds == [EntryKind.TAKEN, EntryKind.UNTOUCHED]
    assert serving is NodeState.IN_SERVICE


class Stubborn:
    """A workload manager that will not let one node be locked."""

    def __init__(self, inner: WorkloadManager, node: str) -> None:
        self._inner = inner
        self._node = node

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._inner, verb)

    def lock(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        refused: dict[StepKey, Answer] = {ask.key: Denied(why="no") for ask in asks if ask.unit == self._node}
        return {**self._inner.lock([ask for ask in asks if ask.key not in refused]), **refused}


def test_a_killed_conductor_writes_nothing_twice(tmp_path: Path) -> None:
    rig = set_up(stagehand.fresh_sqlite(tmp_path), tmp_path, HARSH)
    rig.conduct(until=small.START + stagehand.hours(1))
    rig.restart()
    rig.conduct()
    with rig.database.read() as conn:
        entries = capacity.load_entries(conn, rig.run)
    counted = Counter((entry.window, entry.node, entry.kind) for entry in entries)
    assert set(counted.values()) == {1}
    assert list_open(entries) == frozenset()


def test_a_placement_group_that_refuses_chunks_gets_every_node_back_once(store_url: str, tmp_path: Path) -> None:
    found = small.fleet(nodes=32)
    grouped = {name: replace(cluster, single_placement_group=True) for name, cluster in found.clusters.items()}
    faults = replace(NO_FAULTS, unplaceable=0.15)
    rig = stagehand.set_up(store_url, tmp_path, fleet=replace(found, clusters=grouped), faults=faults)
    counter = Counted(rig.site.workloads)
    rig.site = replace(rig.site, workloads=counter)
    assert rig.conduct().state is RunState.FINISHED
    stagehand.assert_nothing_lost(rig)
    assert max(counter.refused) > 1
    assert Counter(counter.accepted) == Counter(f"c0-n{i:03d}" for i in range(1, 32))


class Counted:
    """A workload manager that remembers which chunks were refused, by size, and who was given back."""

    def __init__(self, inner: WorkloadManager) -> None:
        self._inner = inner
        self.refused: list[int] = []
        self.accepted: list[str] = []

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._inner, verb)

    def give_back(self, asks: Sequence[Ask]) -> Mapping[StepKey, Answer]:
        try:
            answers = self._inner.give_back(asks)
        except Refused:
            self.refused.append(len(asks))
            raise
        self.accepted += [ask.unit for ask in asks]
        return answers
