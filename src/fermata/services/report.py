"""The report of a campaign, put together from what the store holds. For `fermata report`, the board and the API."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from fermata.domain.accounts import Books, account_for_nodes, account_for_versions, outages_of
from fermata.domain.campaign import Campaign
from fermata.domain.capacity import measure_capacity
from fermata.domain.capacity_ledger import CapacityLine, GroupBy, add_up, when_ready
from fermata.domain.failures import FAILURE_EVENTS, Failure, count_failures
from fermata.domain.ids import CampaignId, NodeId, UpdateId, WindowId
from fermata.domain.node_states import OUT, UnitKind, UnitState
from fermata.domain.operations import Run, UnitOp, WindowRun
from fermata.domain.pending import find_pending
from fermata.domain.plans import Plan
from fermata.domain.reasons import Code, reason
from fermata.domain.report import FailureLine, PlanLine, Report, Span, WindowLine
from fermata.domain.tail import time_repairs
from fermata.domain.updates import Catalogue, Flown
from fermata.domain.usage import OpenWindow, measure_limits
from fermata.domain.windows import Interval
from fermata.services.errors import Refusal, refusing_unknown
from fermata.store import capacity, handovers, inventory, journal, plans, runs, tail, trains, unit_ops
from fermata.store.database import Connection, Database
from fermata.store.flights import load_planned


def make_report(db: Database, *, campaign: str | None = None) -> Report:
    """The report of a campaign, or of the only one, as of the last instant its run worked on.

    Raises Refusal when there is no such campaign, several and none named, or no published plan.
    """
    with refusing_unknown(), db.read() as conn:
        found = choose_campaign(conn, campaign)
        conducted = runs.list_runs(conn, found.id)
        books = _read_books(conn, found, conducted)
        failures = count_failures(_failures(conn), held=_held(books))
        names = [run.id for run in conducted]
        accounts = add_up(capacity.load_accounts(conn, names), capacity.load_sums(conn, names), GroupBy.CUSTOMER)
        spells = tail.load_spells(conn, names)
    made = _report(books, conducted, failures, accounts)
    return replace(made, repairs=time_repairs(spells, made.as_of))


def choose_campaign(conn: Connection, name: str | None) -> Campaign:
    """The campaign of that id, or the only one stored. Raises Refusal, NotStored."""
    if name is not None:
        return inventory.load_campaign(conn, CampaignId(name))
    stored = inventory.list_campaigns(conn)
    if not stored:
        raise Refusal(reason(Code.NOT_IMPORTED, kind="campaign"))
    if len(stored) > 1:
        raise Refusal(reason(Code.CAMPAIGN_NOT_NAMED, campaigns=", ".join(c.id for c in stored)))
    return stored[0]


def _read_books(conn: Connection, campaign: Campaign, conducted: Sequence[Run]) -> Books:
    windows = _windows_of(conn, conducted)
    followed = _followed_plans(conn, campaign)
    if not followed:
        raise Refusal(reason(Code.NOTHING_TO_REPORT, campaign=campaign.id))
    fleet = plans.load_fleet_snapshot(conn, followed[0].inputs.fleet)
    catalogue = _load_flown(conn, followed)
    opened = [window for window in windows if window.opened_at is not None]
    return Books(
        campaign=campaign,
        catalogue=catalogue,
        fleet=fleet,
        pending=find_pending(fleet, catalogue, campaign.updates),
        plans=followed,
        windows=windows,
        ops=tuple(op for window in opened for op in unit_ops.ops_of_window(conn, window.run, window.window)),
        as_of=conducted[-1].clock_at if conducted else followed[-1].created_at,
        riders=tuple(op for run in conducted for op in trains.riders_of_run(conn, run.id)),
        trains={train.id: train.updates for run in conducted for train in trains.load_trains(conn, run.id)},
        own={
            window.id: window.updates for run in conducted for window in handovers.load_windows(conn, run.id).values()
        },
    )


def _load_flown(conn: Connection, followed: Sequence[Plan]) -> Catalogue:
    """The catalogue with every flight that one of these plans was made from."""
    catalogue = inventory.load_catalogue(conn)
    nodes: dict[UpdateId, frozenset[NodeId]] = {}
    updates = dict(catalogue.updates)
    for planned in (load_planned(conn, catalogue, plan) for plan in followed):
        for flown in planned.flights:
            nodes[flown.update] = nodes.get(flown.update, frozenset()) | flown.nodes
            updates[flown.update] = planned.updates[flown.update]
    flights = tuple(Flown(update=name, nodes=found) for name, found in sorted(nodes.items()))
    return replace(catalogue, updates=updates, flights=flights) if flights else catalogue


def _held(books: Books) -> frozenset[str]:
    """Nodes that we hold now, and devices that wait for a repair."""
    return frozenset(
        op.unit for op in books.ops if op.state is UnitState.FAILED or (op.kind is UnitKind.NODE and op.state in OUT)
    )


def _failures(conn: Connection) -> Iterator[Failure]:
    for line in journal.read_events(conn, FAILURE_EVENTS):
        yield Failure(event=line.event, unit=line.subject.partition(":")[2], why=line.why)


def _windows_of(conn: Connection, conducted: Sequence[Run]) -> tuple[WindowRun, ...]:
    """Every window once, by planned start: a later run's word counts, unless the window opened under an earlier one."""
    found: dict[WindowId, WindowRun] = {}
    for run in conducted:
        for window in runs.load_windows(conn, run.id):
            earlier = found.get(window.window)
            if earlier is None or earlier.opened_at is None:
                found[window.window] = window
    return tuple(sorted(found.values(), key=lambda window: (window.planned_start, window.window)))


def _followed_plans(conn: Connection, campaign: Campaign) -> tuple[Plan, ...]:
    """The plans that were published for the campaign, oldest first."""
    lines = [line for line in plans.list_plans(conn, campaign.id) if line.published_at is not None]
    lines.sort(key=lambda line: (line.published_at, line.saved_at))
    return tuple(plans.load_plan(conn, line.id) for line in lines)


def _report(
    books: Books,
    conducted: Sequence[Run],
    failures: tuple[FailureLine, ...],
    accounts: tuple[CapacityLine, ...],
) -> Report:
    outages = outages_of(books)
    opened = tuple(
        OpenWindow(
            cluster=w.cluster, mode=w.mode, open=Interval(w.opened_at, w.closed_at or max(w.opened_at, books.as_of))
        )
        for w in books.windows
        if w.opened_at is not None
    )
    return Report(
        campaign=books.campaign.id,
        title=books.campaign.title,
        timezone=books.campaign.timezone,
        as_of=books.as_of,
        runs=tuple(run.id for run in conducted),
        plans=tuple(
            PlanLine(
                id=plan.id,
                parent=plan.parent,
                windows=len(plan.windows),
                unplanned=sum(len(left.nodes) for left in plan.unplanned),
            )
            for plan in books.plans
        ),
        windows=_window_lines(books),
        capacity=measure_capacity(books, conducted[0] if conducted else None, outages),
        accounts=accounts,
        repairs=(),
        failures=failures,
        versions=account_for_versions(books),
        limits=measure_limits(books.campaign, books.fleet, outages, opened),
        nodes=account_for_nodes(books),
    )


def _window_lines(books: Books) -> tuple[WindowLine, ...]:
    nodes: dict[WindowId, list[UnitOp]] = defaultdict(list)
    for op in books.ops:
        if op.kind is UnitKind.NODE:
            nodes[op.window].append(op)
    return tuple(line_of(window, nodes[window.window], books.campaign) for window in books.windows)


def line_of(window: WindowRun, ops: Sequence[UnitOp], campaign: Campaign) -> WindowLine:
    """What the report says of one window. `ops`: its nodes."""
    states = Counter(op.state for op in ops)
    return WindowLine(
        id=window.window,
        plan=window.plan,
        cluster=window.cluster,
        mode=window.mode,
        part=window.part,
        parts=window.parts,
        state=window.state,
        nodes_planned=window.nodes,
        nodes_taken=window.taken,
        nodes_returned=states[UnitState.RETURNED] + states[UnitState.KEPT_OUT],
        nodes_tail=sum(op.tail_since is not None for op in ops),
        baseline=window.in_service_at_open,
        planned=Span(start=window.planned_start, end=window.planned_end),
        actual=None if window.opened_at is None else Span(start=window.opened_at, end=window.closed_at),
        ready_at=_ready_at(window, ops, campaign.return_threshold),
        back_by=window.back_by,
        reason=window.reason,
    )


def _ready_at(window: WindowRun, ops: Sequence[UnitOp], threshold: float) -> datetime | None:
    """When enough of the nodes in service at the opening were back; without any of those, when it closed."""
    if not window.in_service_at_open:
        return window.closed_at
    back = (op.finished_at for op in ops if op.finished_at and op.state is UnitState.RETURNED)
    return when_ready(window.in_service_at_open, threshold, back)
