"""Sets up a store, a world and a run for the tests of the conductor, and checks what must hold at every instant."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from tests.simulation import small

from fermata.domain.ids import RunId
from fermata.domain.node_states import FINAL, UnitKind, UnitState
from fermata.domain.operations import Run, UnitOp
from fermata.domain.plans import Plan
from fermata.execution.embedded import conduct
from fermata.execution.ownership import Ownership, SteadyWall
from fermata.ports import Replanner, Rooms, Site
from fermata.services import runs as services
from fermata.sim.clock import VirtualClock
from fermata.sim.fates import NO_FAULTS, Faults
from fermata.sim.site import open_site
from fermata.sim.world import World, open_world
from fermata.store import consent, inventory, plans, runs, unit_ops
from fermata.store.database import Database, migrate

OPENED: list[Database] = []


@dataclass(kw_only=True)
class Rig:
    """One store with one run, and the world it works on."""

    database: Database
    plan: Plan
    run: RunId
    folder: Path
    faults: Faults
    seed: int
    world: World
    clock: VirtualClock
    site: Site
    replanner: Replanner | None = None
    rooms: Rooms | None = None

    def conduct(self, until: datetime | None = None, crash: Callable[[str], None] | None = None) -> Run:
        """Conducts to the end, or until virtual time passes `until`."""
        return conduct(
            self.database,
            replace(self.site, replanner=self.replanner, rooms=self.rooms),
            self.clock,
            self.run,
            stop=lambda: until is not None and self.clock.now() >= until,
            crash=crash,
            ownership=Ownership(run=self.run, owner="rig", wall=SteadyWall()),
        )

    def restart(self) -> None:
        """As after kill -9: nothing survives but the store and the world's log."""
        with self.database.read() as conn:
            run = runs.load_run(conn, self.run)
        assert run is not None
        self.clock = VirtualClock(max(run.clock_at, self.clock.now()), None)
        self.world, self.site = open_sim(self.plan, self.folder, self.database, self.clock, self.faults, self.seed)

    def reopened(self) -> "Rig":
        """The same, with the world as its log says by now: others may have worked on it."""
        self.restart()
        return self

    def ops(self) -> tuple[UnitOp, ...]:
        with self.database.read() as conn:
            found: list[UnitOp] = []
            for window in runs.load_windows(conn, self.run):
                found += unit_ops.ops_of_window(conn, self.run, window.window)
        return tuple(found)


def fresh_sqlite(folder: Path) -> str:
    """The URL of a new, migrated store."""
    path = folder / "store.sqlite"
    path.write_bytes(_empty_store())
    return f"sqlite:///{path}"


@cache
def _empty_store() -> bytes:
    """A migrated store: migrating costs a quarter of a second, as much as many a test."""
    with tempfile.TemporaryDirectory(prefix="fermata-template-") as folder:
        path = Path(folder, "store.sqlite")
        migrate(f"sqlite:///{path}")  # closes it: nothing is left in the write-ahead log
        assert [found.name for found in path.parent.iterdir()] == [path.name]
        return path.read_bytes()


def open_store(url: str) -> Database:
    """Closed after the test."""
    OPENED.append(Database(url))
    return OPENED[-1]


def open_sim(
    plan: Plan, folder: Path, database: Database, clock: VirtualClock, faults: Faults, seed: int
) -> tuple[World, Site]:
    with database.read() as conn:
        fleet = plans.load_fleet_snapshot(conn, plan.inputs.fleet)
        catalogue = inventory.load_catalogue(conn)
    world = open_world(fleet, catalogue, faults=faults, seed=seed, path=small.world_path(folder))
    return world, open_site(world, clock)


def set_up(  # noqa: PLR0913 - what a test may want different
    url: str,
    folder: Path,
    *,
    plan: Plan | None = None,
    fleet: "small.Fleet | None" = None,
    catalogue: "small.Catalogue | None" = None,
    campaign: "small.Campaign | None" = None,
    faults: Faults = NO_FAULTS,
    seed: int = 1,
) -> Rig:
    """Imports, approves, publishes and starts; nothing is conducted yet."""
    found = fleet or small.fleet()
    updates = catalogue or small.catalogue()
    of = campaign or small.campaign()
    made = plan or small.plan(found, updates, of)
    database = open_store(url)
    with database.begin() as conn:
        inventory.save_fleet(conn, found)
        inventory.save_catalogue(conn, updates)
        inventory.save_policy(conn, small.policy())
        inventory.save_campaign(conn, of)
        consent.append_entry(conn, small.approval(updates))
        plans.save_snapshot(conn, made.inputs.fleet, found)
        plans.save_plan(conn, made, small.NOW)
        plans.publish_plan(conn, made.id, small.NOW)
    run = services.start(database, of.id, now=small.NOW, actor="test", new_id=lambda kind: f"{kind}_1")
    clock = VirtualClock(small.NOW, None)
    world, site = open_sim(made, folder, database, clock, faults, seed)
    return Rig(
        database=database,
        plan=made,
        run=run.id,
        folder=folder,
        faults=faults,
        seed=seed,
        world=world,
        clock=clock,
        site=site,
    )


def reopen(url: str, folder: Path, *, faults: Faults, seed: int) -> Rig:
    """What a new process finds: a store with a run in it, and the world's log."""
    database = open_store(url)
    with database.read() as conn:
        run = runs.latest_run(conn)
        assert run is not None
        plan = plans.load_plan(conn, run.plan)
    clock = VirtualClock(run.clock_at, None)
    world, site = open_sim(plan, folder, database, clock, faults, seed)
    return Rig(
        database=database,
        plan=plan,
        run=run.id,
        folder=folder,
        faults=faults,
        seed=seed,
        world=world,
        clock=clock,
        site=site,
    )


def assert_nothing_lost(rig: Rig) -> None:
    """Every node of the plan is finished or on the tail list; every returned one runs its targets in the world."""
    ops = {op.unit: op for op in rig.ops()}
    now = rig.clock.now()
    for window in rig.plan.windows:
        for name in window.nodes:
            op = ops[name]
            assert op.state in FINAL or op.tail_since is not None, f"{name} is {op.state}"
            machine = rig.world.nodes[name]
            machine.settle(now)
            if op.state is UnitState.RETURNED:
                assert machine.in_service
                assert not machine.locked
                assert all(machine.versions[c] == "2.0" for c in machine.targets), name
            if op.state is UnitState.KEPT_OUT:
                assert not machine.in_service
    for op in ops.values():
        if op.kind is UnitKind.DEVICE and op.state is UnitState.PROVEN:
            device = rig.world.devices[small.DeviceId(op.unit)]
            device.settle(now)
            assert list(device.versions.values()) == ["2.0"]


def hours(count: float) -> timedelta:
    return timedelta(hours=count)
