"""What the conductor holds in memory, all of it read from the store and rebuilt at any time: plans, scripts, limits.

A stage is one worker's view of one run: of the whole of it, of its lead, or of some of its cohorts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property, partial

from fermata.domain.campaign import Campaign
from fermata.domain.control import choose_control
from fermata.domain.decide_begin import Facts
from fermata.domain.deviation import Look
from fermata.domain.fleet import Fleet
from fermata.domain.ids import DeviceId, NodeId, PlanId, RunId, TeamId, UpdateId, WindowId
from fermata.domain.intents import NO_INTENTS, Intents
from fermata.domain.openings import Capacity, begin_again_at, count_limits
from fermata.domain.operations import Busy, WindowRun
from fermata.domain.pending import FleetPending, find_pending
from fermata.domain.plans import Plan, Window
from fermata.domain.policy import ConsentEntry
from fermata.domain.reasons import Reason
from fermata.domain.repairs import amend
from fermata.domain.room import START, asked_topics, hold_without_go
from fermata.domain.run_states import GONE, WindowState
from fermata.domain.scripts import WindowScript, read_script
from fermata.domain.tally import Tally
from fermata.domain.updates import Catalogue
from fermata.execution.desks import GateDesk, RoomDesk, UndoDesk
from fermata.execution.foresight import Memory
from fermata.execution.handing import Handing, load_handing
from fermata.execution.jobs_desk import JobsDesk
from fermata.execution.ownership import Ownership, SteadyWall, new_owner
from fermata.execution.roster import Roster
from fermata.execution.scale_in import ScaleIn
from fermata.execution.yard import Yard
from fermata.formats.brake import BrakeFile, brake_file
from fermata.planning.case import CheckCase
from fermata.ports import Clock, Site
from fermata.store import inventory, plans, recovery, runs, unit_ops
from fermata.store.database import Database
from fermata.store.flights import load_planned
from fermata.store.leases import LEAD
from fermata.store.moves import newest_move


@dataclass(frozen=True, kw_only=True)
class Score:
    """One plan with the fleet it was made for. `catalogue`: today's, with the flights that the plan was made from."""

    plan: Plan
    fleet: Fleet
    catalogue: Catalogue
    pending: FleetPending

    @cached_property
    def windows(self) -> Mapping[WindowId, Window]:
        """The plan's windows by id."""
        return {window.id: window for window in self.plan.windows}


def _go_on(_point: str) -> None:
    """Nothing happens here outside of tests."""


@dataclass(kw_only=True)
class Stage:
    """Everything one run needs. `device_versions` follows what was proven; `scripts` are read when first needed.

    Every write transaction of `database` checks what `ownership` holds, and raises Outdated when that is over.
    `writing_elsewhere`: by team, how many units wrote in other workers' cohorts when that was last counted.
    `ledger`: the words of consent, as last read, with the number of the newest.
    `look`, `foreseen` and `foresees`: see `runner`.
    `try_again_at`: when a rule has a failed unit of the cohorts held here tried again next.
    `crash` is called by name at every point where a kill could hurt: tests end the process there.
    `intents`: the words in force as last read. `brake`: the file of this machine. `has_trains`: impactless work may
    ride. `chosen`: a plan, its windows that are gone, and the control windows among the rest. `ends_noted`: stays of
    units with people whose end was seen, and `stopped_seen`, how windows stood when it was last judged what of them is
    rolled back: both kept when all else is read again. `moves`: the number of the last write of units that is in memory
    here; `read_at`: when all was read, by the wall.
    """

    database: Database
    ownership: Ownership
    site: Site
    clock: Clock
    run: RunId
    catalogue: Catalogue
    campaign: Campaign
    fleet: Fleet
    capacity: Capacity
    device_versions: dict[DeviceId, str]
    scores: dict[PlanId, Score] = field(default_factory=dict)
    cases: dict[PlanId, CheckCase] = field(default_factory=dict)
    scripts: dict[WindowId, WindowScript] = field(default_factory=dict)
    windows: dict[WindowId, WindowRun] = field(default_factory=dict)
    handing: Handing = field(default_factory=Handing)
    ends_noted: set[tuple[WindowId, str, int]] = field(default_factory=set)
    scale_in: ScaleIn = field(default_factory=ScaleIn)
    memory: Memory = field(default_factory=Memory)
    roster: Roster = field(default_factory=lambda: Roster(()))
    writing_elsewhere: dict[TeamId, int] = field(default_factory=dict)
    carriers: dict[tuple[NodeId, str], tuple[DeviceId, ...]] = field(default_factory=dict)
    ledger: tuple[int, tuple[ConsentEntry, ...]] | None = None
    gates: GateDesk = field(default_factory=GateDesk)
    undo: UndoDesk = field(default_factory=UndoDesk)
    rooms: RoomDesk = field(default_factory=RoomDesk)
    jobs: JobsDesk = field(default_factory=JobsDesk)
    intents: Intents = NO_INTENTS
    brake: BrakeFile | None = None
    yard: Yard | None = None
    has_trains: bool = False
    crash: Callable[[str], None] = _go_on
    look: Look | None = None
    try_again_at: datetime | None = None
    foreseen: tuple[PlanId, date] | None = None
    foresees: bool = False
    stopped_seen: dict[WindowId, tuple[object, ...]] = field(default_factory=dict)
    chosen: tuple[PlanId, frozenset[WindowId], frozenset[WindowId]] | None = None
    moves: int = 0
    read_at: datetime | None = None

    def score(self, plan_id: PlanId) -> Score:
        """The plan of that id."""
        if plan_id not in self.scores:
            with self.database.read() as conn:
                plan = plans.load_plan(conn, plan_id)
                fleet = plans.load_fleet_snapshot(conn, plan.inputs.fleet)
                catalogue = load_planned(conn, self.catalogue, plan)
            pending = find_pending(fleet, catalogue, self.campaign.updates)
            self.scores[plan_id] = Score(plan=plan, fleet=fleet, catalogue=catalogue, pending=pending)
        return self.scores[plan_id]

    def script(self, window: WindowId) -> WindowScript:
        """The script of a window of the run. Raises BadScript."""
        if window not in self.scripts:
            score = self.score(self.windows[window].plan)
            planned, is_planned = self.planned(self.windows[window]), window not in self.handing.windows
            script = read_script(planned, score.fleet, score.pending, self.catalogue, planned=is_planned)
            for name, due in self.handing.amended.get(window, {}).items():
                script = amend(script, name, due)
            self._find_carriers(script, score.fleet)
            self.scripts[window] = script
        return self.scripts[window]

    def planned(self, row: WindowRun) -> Window:
        """A window of the run as its plan has it, or as it was opened for a work order."""
        return self.handing.windows.get(row.window) or self.score(row.plan).windows[row.window]

    def fleet_at(self, window: WindowId) -> Fleet:
        """The fleet as it was when the plan of a window of the run was made."""
        return self.score(self.windows[window].plan).fleet

    def forget(self, window: WindowId) -> None:
        """Lets go of a script that is not needed soon."""
        self.scripts.pop(window, None)

    def _find_carriers(self, script: WindowScript, fleet: Fleet) -> None:
        needed = {r.component for update in script.updates for r in update.requires}
        for name in script.nodes if needed else ():
            for device in fleet.devices_of(fleet.nodes[name]):
                if device.component in needed:
                    found = self.carriers.get((name, device.component), ())
                    if device.name not in found:
                        self.carriers[name, device.component] = (*found, device.name)

    def facts(
        self,
        window: WindowId,
        *,
        now: datetime,
        tally: Tally,
        gaps: Mapping[NodeId, tuple[Reason, ...]] | None = None,
        looked_at: datetime | None = None,
    ) -> Facts:
        """What is true around the units of a window. `gaps`, `looked_at`: see `Facts`."""
        row = self.windows[window]
        score = self.score(row.plan)
        return Facts(
            now=now,
            script=self.script(window),
            catalogue=self.catalogue,
            intents=self.intents,
            begin_again_at=begin_again_at(self.campaign, row.hard_stop, now),
            tally=tally,
            unproven=self.roster.unproven_devices(window),
            standing=partial(self.roster.standing, window),
            device_versions=self.device_versions,
            carriers=self.carriers,
            nodes_before=score.fleet.nodes,
            handed=self.handing.handed.get(window, {}),
            gaps=gaps or {},
            closed={**self.without_go(window), **self.closed_to(window)},
            undo_targets=self.undo.targets,
            looked_at=looked_at,
            count_tries=self.roster.tries.count,
            count_queue=self.roster.queues.count,
        )

    def closed_to(self, window: WindowId) -> dict[UpdateId, Reason]:
        """Updates that nobody of the window may begin now, and why: windows of the control phase try what others wait
        for.
        """
        is_control = window in self.control
        return {
            name: state.judged.reason
            for name, state in self.gates.states.items()
            if state.is_closed and not (is_control and state.is_trying)
        }

    def without_go(self, window: WindowId) -> dict[UpdateId, Reason]:
        """Updates that nobody of the window may begin before a person says go in its room, and why."""
        if not self.rooms.words and not self.campaign.phases.go_updates:
            return {}
        topics = self.planned(self.windows[window]).updates
        return {name: why for name in topics if (why := self.go_missing(window, name)) is not None}

    def go_missing(self, window: WindowId, topic: str = START) -> Reason | None:
        """Why the start of a window, or an update in it, waits for a person's go."""
        phases, row = self.campaign.phases, self.windows[window]
        asked = asked_topics(phases, (UpdateId(topic),), is_control=bool(phases.go_windows) and window in self.control)
        said = self.rooms.words.get((window, topic))
        return hold_without_go(window, topic, said, is_asked=topic in asked, planned_start=row.planned_start)

    @property
    def control(self) -> frozenset[WindowId]:
        """The windows that go first; none without a control phase."""
        phase = self.campaign.phases.control
        if phase is None or not self.windows:
            return frozenset()
        score = self.score(max(row.plan for row in self.windows.values()))  # of cohorts, not all rows are known here
        gone = frozenset(row.window for row in self.windows.values() if row.state in GONE)
        if self.chosen is None or self.chosen[:2] != (score.plan.id, gone):
            left = [window for window in score.plan.windows if window.id not in gone]
            self.chosen = (score.plan.id, gone, choose_control(left, phase, score.fleet))
        return self.chosen[2]

    def reload(self) -> None:
        """Reads windows and units again: another hand changed rows, or a transaction failed. The lead reads all."""
        held = self.ownership.held
        self.read_at = self.ownership.wall()
        with self.database.read() as conn:
            self.moves = newest_move(conn, self.run)
            if LEAD in held:
                rows = runs.load_windows(conn, self.run)
                ops = unit_ops.ops_of_open_windows(conn, self.run)
            else:
                found = (runs.load_window(conn, self.run, window) for window in sorted(held))
                rows = tuple(row for row in found if row is not None)
                ops = tuple(op for row in rows for op in unit_ops.ops_of_window(conn, self.run, row.window))
            self.device_versions.update(inventory.load_device_versions(conn))
            self.handing = load_handing(conn, self.run, self.handing.told)
            self.undo = UndoDesk(latest=recovery.latest_order(conn, self.run))
            self.undo.load(recovery.load_orders(conn, self.run))
        self.windows = {row.window: row for row in rows}
        self.roster = Roster(ops, held)
        self.gates = GateDesk()
        self.yard = None
        self.scripts.clear()

    def renew(self) -> None:
        """Reads everything again: another plan is in force, perhaps for a changed campaign or catalogue."""
        with self.database.read() as conn:
            self.catalogue = inventory.load_catalogue(conn)
            self.campaign = inventory.load_campaign(conn, self.campaign.id)
            self.fleet = inventory.load_fleet(conn)
        self.capacity = count_limits(self.campaign, self.fleet)
        self.scale_in = ScaleIn.of(self.fleet)
        self.reload()
        self.cases.clear()
        self.stopped_seen.clear()

    def give_up(self) -> None:
        """After Outdated: forgets what others hold, and reads what is left."""
        with self.database.read() as conn:
            self.ownership.drop_lost(conn)
        self.reload()

    def tally(self) -> Tally:
        """Who writes what, as far as it is known here."""
        return Tally(self.catalogue, self.busy(), self.writing_elsewhere)

    def busy(self) -> list[Busy]:
        """Who writes what, of the cohorts that are held here."""
        return [*self.roster.busy(), *self.undo.writing(self.roster)]

    def is_shared(self) -> bool:
        """True while other workers change rows that this one looks at."""
        held = self.ownership.held
        if LEAD not in held:
            return True
        return any(w.state is WindowState.OPEN and w.window not in held for w in self.windows.values()) or (
            self.roster.has_others()
        )

    def cast(self) -> "Stage":
        """Another stage of the same run and worker, with what never changes in common and nothing held."""
        ownership = replace(self.ownership, held={})
        return replace(
            self,
            database=self.database.guarded(ownership.check),
            ownership=ownership,
            windows={},
            roster=Roster(()),
            device_versions=dict(self.device_versions),
            writing_elsewhere={},
            handing=Handing(),
            ends_noted=set(),
            scripts={},
            gates=GateDesk(),
            rooms=RoomDesk(),
            jobs=JobsDesk(),
            look=None,
            try_again_at=None,
            yard=None,
            stopped_seen={},
        )

    def open_windows(self) -> tuple[WindowRun, ...]:
        """The run's open windows, by id."""
        return tuple(w for _, w in sorted(self.windows.items()) if w.state is WindowState.OPEN)


def set_stage(
    database: Database, site: Site, clock: Clock, run_id: RunId, *, ownership: Ownership | None = None
) -> Stage:
    """Reads everything a run needs; nothing is held yet. Raises KeyError for an unknown run."""
    with database.read() as conn:
        run = runs.load_run(conn, run_id)
        if run is None:
            raise KeyError(run_id)
        campaign = inventory.load_campaign(conn, run.campaign)
        catalogue = inventory.load_catalogue(conn)
        fleet = inventory.load_fleet(conn)
    owned = ownership or Ownership(run=run_id, owner=new_owner(), wall=SteadyWall())
    return Stage(
        database=database.guarded(owned.check),
        ownership=owned,
        site=site,
        clock=clock,
        run=run_id,
        catalogue=catalogue,
        campaign=campaign,
        fleet=fleet,
        capacity=count_limits(campaign, fleet),
        scale_in=ScaleIn.of(fleet),
        device_versions={device.name: device.version for device in fleet.devices.values()},
        brake=brake_file(database.url),
    )
