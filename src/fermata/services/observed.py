"""What came of a campaign's plan in force, read from the runs on record: the observations that a re-plan goes by."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from fermata.domain.campaign import Campaign
from fermata.domain.deviation import learn_stretch
from fermata.domain.fleet import Fleet
from fermata.domain.ids import CampaignId, NodeId, WindowId
from fermata.domain.observed import Fate, Observed, TailNode, WindowSeen
from fermata.domain.operations import WindowRun
from fermata.domain.pending import FleetPending, find_pending, has_work
from fermata.domain.plans import Plan, Window
from fermata.domain.run_states import WindowState
from fermata.domain.updates import Catalogue
from fermata.store import runs, unit_ops
from fermata.store.database import Connection

NOT_BACK = "it is not back yet"
_FATES = {
    WindowState.OPEN: Fate.RUNNING,
    WindowState.CLOSED: Fate.DONE,
    WindowState.MISSED: Fate.MISSED,
    WindowState.SKIPPED: Fate.MISSED,
    WindowState.CANCELLED: Fate.CANCELLED,
}


def observe_plan(
    conn: Connection, plan: Plan, fleet: Fleet, catalogue: Catalogue, campaign: Campaign, now: datetime
) -> Observed:
    """What became of every window of `plan` by `now`, and how long they take. The inventory on record has what was
    proven already, so nodes on which work is still due, and which nobody holds, were left by their window.
    """
    rows = find_rows(conn, campaign.id)
    held = unit_ops.nodes_in_work(conn)
    pending = find_pending(fleet, catalogue, campaign.updates)
    seen = (_see(window, rows.get(window.id), held, fleet, pending, now) for window in plan.windows)
    return Observed(
        windows=tuple(window for window in seen if window is not None),
        stretch=learn_stretch(rows[window.id] for window in plan.windows if window.id in rows),
        in_inventory=True,
    )


def find_rows(conn: Connection, campaign: CampaignId) -> Mapping[WindowId, WindowRun]:
    """The last word on every window of the campaign, over all its runs; one that opened stays opened."""
    found: dict[WindowId, WindowRun] = {}
    for run in runs.list_runs(conn, campaign):
        for row in runs.load_windows(conn, run.id):
            before = found.get(row.window)
            if before is None or before.opened_at is None:
                found[row.window] = row
    return found


def _see(
    window: Window,
    row: WindowRun | None,
    held: frozenset[NodeId],
    fleet: Fleet,
    pending: FleetPending,
    now: datetime,
) -> WindowSeen | None:
    """None: its time has not come. One that waits for its time to open, and is past it, is as good as missed."""
    fate = _FATES.get(row.state) if row is not None else None
    if fate is None:
        return None if window.start >= now else WindowSeen(window=window.id, fate=Fate.MISSED)
    if row is None or fate not in (Fate.RUNNING, Fate.DONE):
        return WindowSeen(window=window.id, fate=fate)
    tail = [name for name in window.nodes if name in held] if fate is Fate.DONE else []
    return WindowSeen(
        window=window.id,
        fate=fate,
        started_at=row.opened_at,
        ended_at=row.closed_at,
        tail=tuple(TailNode(node=name, why=NOT_BACK) for name in tail),
        again=tuple(_left(window.nodes, held, fleet, pending)),
    )


def _left(names: Iterable[NodeId], held: frozenset[NodeId], fleet: Fleet, pending: FleetPending) -> Iterable[NodeId]:
    return (n for n in names if n not in held and n in fleet.nodes and has_work(fleet, pending, fleet.nodes[n]))
