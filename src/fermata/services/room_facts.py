"""What a room is made from: the status of its window, the plan's teams, and the lines that people wrote."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fermata.domain.campaign import Campaign
from fermata.domain.control import choose_control
from fermata.domain.customer_words import add_own_words
from fermata.domain.ids import ClusterId, PlanId, UpdateId, WindowId
from fermata.domain.node_states import UnitKind
from fermata.domain.operations import Run
from fermata.domain.plans import Plan, Window
from fermata.domain.room import (
    Ended,
    Figures,
    Message,
    Place,
    RoomLine,
    TailUnit,
    Turn,
    asked_topics,
    find_turns,
    read_book,
)
from fermata.domain.room_words import RoomFacts, next_message, open_needs
from fermata.domain.run_states import GONE
from fermata.services.report import line_of
from fermata.services.run_views import RunStatus, WindowStatus
from fermata.store import handovers, inventory, plans, runs, unit_ops
from fermata.store.database import Connection

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """The facts of one room. `is_planned`: False of a window of a work order, of which nothing is told by itself."""

    facts: RoomFacts
    is_planned: bool

    def message(self) -> Message | None:
        """What is due, with what the window's customer is told of it."""
        made = next_message(self.facts)
        return add_own_words(self.facts, made) if made is not None else None

    def open_points(self) -> tuple[str, ...]:
        """What waits for a person."""
        return open_needs(self.facts)


@dataclass(slots=True)
class Sources:
    """Reads facts; remembers plans, which never change."""

    _plans: dict[PlanId, Plan] = field(default_factory=dict)
    _turns: dict[tuple[PlanId, WindowId], tuple[Turn, ...]] = field(default_factory=dict)

    def gather(
        self,
        conn: Connection,
        run: Run,
        status: RunStatus,
        window: WindowId,
        lines: Sequence[RoomLine],
        now: datetime,
    ) -> Gathered | None:
        """The facts of one window of the run at `now`; None when the status has no such window."""
        found = _find(status, window)
        if found is None:
            return None
        campaign = inventory.load_campaign(conn, run.campaign)
        planned = self._planned(conn, run, window)
        asked = self._asked(conn, campaign, status, window, planned)
        turns = self.turns(conn, run, window)
        book = read_book(lines, turns, asked, found.planned_start)
        ended = _ended(conn, run, campaign, window) if found.closed_at is not None else None
        tail = tuple(
            TailUnit(unit=entry.unit, owner=entry.owner, why=entry.reason.sentence)
            for entry in status.tail
            if entry.window == window
        )
        facts = RoomFacts(
            place=_place(run, campaign, found),
            at=now,
            planned_start=found.planned_start,
            planned_end=found.planned_end,
            back_by=found.back_by,
            opened_at=found.opened_at,
            closed_at=found.closed_at,
            recheck_at=found.recheck_at,
            figures=figures_of(found),
            forecast=found.forecast,
            why=found.reason,
            tail=tail,
            ended=ended,
            book=book,
        )
        return Gathered(facts=facts, is_planned=planned is not None)

    def turns(self, conn: Connection, run: Run, window: WindowId) -> tuple[Turn, ...]:
        """The teams of a window, in the order in which they begin."""
        key = (run.plan, window)
        if key not in self._turns:
            found = self._planned(conn, run, window) or handovers.load_windows(conn, run.id).get(window)
            self._turns[key] = find_turns(found, inventory.load_catalogue(conn).updates) if found is not None else ()
        return self._turns[key]

    def updates(self, conn: Connection, run: Run, window: WindowId) -> tuple[UpdateId, ...]:
        """What a window brings."""
        found = self._planned(conn, run, window) or handovers.load_windows(conn, run.id).get(window)
        return found.updates if found is not None else ()

    def cluster(self, status: RunStatus, window: WindowId) -> ClusterId:
        """Of a window of the run."""
        found = _find(status, window)
        assert found is not None, "the run has it"
        return found.cluster

    def _planned(self, conn: Connection, run: Run, window: WindowId) -> Window | None:
        """As its plan has it; None for a window of a work order."""
        row = runs.load_window(conn, run.id, window)
        if row is None:
            return None
        return next((found for found in self._plan(conn, row.plan).windows if found.id == window), None)

    def _plan(self, conn: Connection, name: PlanId) -> Plan:
        if name not in self._plans:
            self._plans[name] = plans.load_plan(conn, name)
        return self._plans[name]

    def _asked(
        self, conn: Connection, campaign: Campaign, status: RunStatus, window: WindowId, planned: Window | None
    ) -> tuple[str, ...]:
        if planned is None:
            return ()
        phases = campaign.phases
        is_control = False
        if phases.control is not None and len(phases.go_windows) == 1:  # of both or none it does not matter
            is_control = window in self._control(conn, campaign, status)
        return asked_topics(phases, planned.updates, is_control=is_control)

    def _control(self, conn: Connection, campaign: Campaign, status: RunStatus) -> frozenset[WindowId]:
        assert campaign.phases.control is not None, "asked for with a control phase only"
        plan = self._plan(conn, status.plan)
        gone = {one.window for one in status.windows if one.state in GONE}
        left = [window for window in plan.windows if window.id not in gone]
        return choose_control(left, campaign.phases.control, plans.load_fleet_snapshot(conn, plan.inputs.fleet))


def figures_of(found: WindowStatus) -> Figures:
    """The numbers of a window, as its status has them."""
    enough = found.forecast.enough if found.forecast is not None else None
    return Figures(
        state=found.state,
        nodes=found.nodes,
        taken=found.taken,
        returned=found.returned,
        kept_out=found.kept_out,
        working=found.working,
        in_tail=found.in_tail,
        left_out=sum(len(group.nodes) for group in found.left_out),
        behind_minutes=None if found.behind is None else round(found.behind / MINUTE),
        median=enough.median if enough is not None else None,
        bound=enough.bound if enough is not None else None,
        kept=found.forecast.kept if found.forecast is not None else None,
    )


def _find(status: RunStatus, window: WindowId) -> WindowStatus | None:
    return next((found for found in status.windows if found.window == window), None)


def _place(run: Run, campaign: Campaign, found: WindowStatus) -> Place:
    return Place(
        run=run.id,
        window=found.window,
        cluster=found.cluster,
        part=found.part,
        parts=found.parts,
        timezone=campaign.timezone,
    )


def _ended(conn: Connection, run: Run, campaign: Campaign, window: WindowId) -> Ended:
    row = runs.load_window(conn, run.id, window)
    assert row is not None, "its status has it"
    ops = [op for op in unit_ops.ops_of_window(conn, run.id, window) if op.kind is UnitKind.NODE]
    line = line_of(row, ops, campaign)
    return Ended(
        ready_at=line.ready_at,
        kept_promise=line.kept_promise,
    )
