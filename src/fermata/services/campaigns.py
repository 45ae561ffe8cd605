"""A whole campaign to look at: its windows as planned and as they ran, what they take of every limit, and how far the
nodes are. One look is shared by all who ask within a second.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise

from fermata.domain.campaign import Campaign, Limit, LimitKind
from fermata.domain.deadline_risk import DeadlineRisk
from fermata.domain.fleet import Fleet
from fermata.domain.ids import CampaignId, ClusterId, NodeId
from fermata.domain.openings import Capacity, count_limits
from fermata.domain.plans import Mode, Window
from fermata.domain.reasons import Code, reason
from fermata.domain.windows import calendar_day, days_between
from fermata.formats.brake import BrakeFile
from fermata.services.board import BoardReader
from fermata.services.board_assembly import Subject
from fermata.services.board_lanes import Conduct, forecast_end, make_chip, slip_of
from fermata.services.board_views import Board, Chip, Curves, Slip
from fermata.services.errors import Refusal, nearest, refusing_unknown
from fermata.services.fleets import read_fleet
from fermata.services.run_views import RunStatus
from fermata.store import inventory, unit_counts
from fermata.store import plans as plan_store
from fermata.store.database import Connection, Database

FRESH_SECONDS = 1.0
FOLLOWED_MOST = 4  # campaigns of which the plans and samples read so far are kept

Steps = tuple[tuple[datetime, int], ...]  # from this instant on, so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One window. `opened` None: not yet; `until`: its end or, while it is open, now; `forecast` of an open one."""

    chip: Chip
    opened: datetime | None
    until: datetime | None
    forecast: datetime | None
    slip: Slip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The windows of one cluster, by start."""

    cluster: ClusterId
    customer: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitDay:
    """The most that is planned and was really used of a limit on a day; `used` None: nothing was looked at then."""

    day: date
    planned: int
    used: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLine:
    """One limit of the campaign. `days`: those on which it holds; `planned` over time; `used` per step of the board's
    curves.
    """

    limit: Limit
    allowed: int
    days: tuple[LimitDay, ...]
    planned: Steps
    used: tuple[int, ...]

    @property
    def most_planned(self) -> int:
        """On any day."""
        return max((day.planned for day in self.days), default=0)

    @property
    def most_used(self) -> int | None:
        """On any day so far."""
        return max((day.used for day in self.days if day.used is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignView:
    """One look. `board` has the figures, days and curves; the rest is empty without a plan. `risk`: what was foreseen
    last of the plan in force. `planned` and `returned`: nodes back so far. `customers` of clusters.
    `windows`: those that are drawn. `status` of the newest run.
    """

    campaign: Campaign
    board: Board
    rows: tuple[Row, ...] = ()
    limits: tuple[LimitLine, ...] = ()
    planned: Steps = ()
    returned: Steps = ()
    risk: DeadlineRisk | None = None
    customers: Mapping[ClusterId, str] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    status: RunStatus | None = None


class CampaignDesk:
    """Safe for many threads: one look at a time, kept for FRESH_SECONDS."""

    def __init__(
        self, db: Database, brake: BrakeFile | None = None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._db = db
        self._brake = brake
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._readers: dict[CampaignId, BoardReader] = {}
        self._views: dict[CampaignId, tuple[float, CampaignView]] = {}
        self._counted: tuple[str, Capacity] | None = None

    def look(self, campaign: CampaignId, now: datetime) -> CampaignView:
        """The campaign at `now`. Raises Refusal for one that nobody knows, StoreUnavailable."""
        with self._lock:
            kept = self._views.get(campaign)
            if kept is not None and self._monotonic() - kept[0] < FRESH_SECONDS:
                return kept[1]
            view = self._look(campaign, now)
            self._views.pop(campaign, None)
            self._views[campaign] = (self._monotonic(), view)
            for old in list(self._views)[:-FOLLOWED_MOST]:
                del self._views[old], self._readers[old]
            return view

    def list_campaigns(self) -> tuple[Campaign, ...]:
        """All on record, oldest first."""
        with self._db.read() as conn:
            return inventory.list_campaigns(conn)

    def read_fleet(self) -> Fleet:
        """The fleet on record."""
        with refusing_unknown(), self._db.read() as conn:
            return read_fleet(conn)

    def _look(self, name: CampaignId, now: datetime) -> CampaignView:
        known = {campaign.id: campaign for campaign in self.list_campaigns()}
        if name not in known:
            raise Refusal(reason(Code.CAMPAIGN_UNKNOWN, campaign=name, nearest=nearest(name, known)))
        reader = self._readers.setdefault(name, BoardReader(self._db, self._brake, campaign=name))
        board = reader.snapshot(now)
        seen = reader.seen
        if seen is None or board.head is None or board.head.plan is None:
            return CampaignView(campaign=known[name], board=board)
        subject, conduct = seen
        with self._db.read() as conn:
            returned = unit_counts.returns(conn, subject.status.run) if subject.status is not None else ()
            capacity = self._count(conn, subject)
        windows = [w for w in subject.followed.windows if not conduct.is_cancelled(w)]
        status, fleet = subject.status, capacity.fleet
        risk = status.deadline_risk if status is not None else None
        return CampaignView(
            campaign=subject.campaign,
            board=board,
            rows=list_rows(windows, conduct, fleet, now),
            limits=list_limits(capacity, windows, board.curves),
            planned=_add_up((window.end, len(window.nodes)) for window in windows),
            returned=_add_up(returned),
            customers={name: cluster.customer for name, cluster in fleet.clusters.items()},
            windows=tuple(windows),
            status=status,
            risk=risk if risk is not None and risk.plan == board.head.plan else None,
        )

    def _count(self, conn: Connection, subject: Subject) -> Capacity:
        """Which nodes each limit counts, of the fleet that the plan was made from: asked again with another plan."""
        sha = subject.followed.plan.inputs.fleet
        if self._counted is None or self._counted[0] != sha or self._counted[1].campaign != subject.campaign:
            self._counted = (sha, count_limits(subject.campaign, plan_store.load_fleet_snapshot(conn, sha)))
        return self._counted[1]


def list_rows(windows: Iterable[Window], conduct: Conduct, fleet: Fleet, now: datetime) -> tuple[Row, ...]:
    """Clusters by the start of their first window."""
    of_cluster: dict[ClusterId, list[Bar]] = {}
    for window in sorted(windows, key=lambda window: (window.start, window.cluster, window.id)):
        of_cluster.setdefault(window.cluster, []).append(_bar(window, conduct, now))
    return tuple(
        Row(
            cluster=name,
            customer=fleet.clusters[name].customer if name in fleet.clusters else "",
            bars=tuple(bars),
        )
        for name, bars in of_cluster.items()
    )


def _bar(window: Window, conduct: Conduct, now: datetime) -> Bar:
    status = conduct.windows.get(window.id)
    chip = make_chip(window, status, conduct.counts.get(window.id, ()), now)
    opened = status.opened_at if status is not None else None
    is_open = opened is not None and chip.closed is None
    return Bar(
        chip=chip,
        opened=opened,
        until=chip.closed or (now if is_open else None),
        forecast=forecast_end(window, status, now) if is_open else None,
        slip=slip_of(status.behind if status is not None and opened is not None else None),
    )


def list_limits(capacity: Capacity, windows: Sequence[Window], curves: Curves | None) -> tuple[LimitLine, ...]:
    """Every limit of the campaign, in its order, from the first day to the last that counts."""
    campaign, fleet = capacity.campaign, capacity.fleet
    zone = campaign.timezone
    days = [calendar_day(window.start, zone) for window in windows]
    every = tuple(days_between(min([campaign.first_day, *days]), max([campaign.deadline, *days])))
    lines = []
    for number, (limit, members, allowed) in enumerate(capacity.counted):
        planned, most = _plan_of(limit, members, windows, campaign, fleet)
        used = _used_of(number, curves) if curves is not None else ()
        seen = _most_by_day(used, curves, zone) if curves is not None else {}
        held = [day for day in every if (limit.first_day or day) <= day <= (limit.last_day or day)]
        lines.append(
            LimitLine(
                limit=limit,
                allowed=allowed,
                days=tuple(LimitDay(day=day, planned=most.get(day, 0), used=seen.get(day)) for day in held),
                planned=planned,
                used=used,
            )
        )
    return tuple(lines)


def _plan_of(
    limit: Limit, members: frozenset[NodeId], windows: Sequence[Window], campaign: Campaign, fleet: Fleet
) -> tuple[Steps, Mapping[date, int]]:
    """What the windows take of the limit over time, and by day: the most at an instant, or all of a limit per day."""
    changes: list[tuple[datetime, int]] = []
    by_day: dict[date, int] = {}
    for window in windows:
        units = _units(limit, members, window, campaign, fleet)
        day = calendar_day(window.start, campaign.timezone)
        if units and (limit.first_day or day) <= day <= (limit.last_day or day):
            changes += [(window.start, units), (window.end, -units)]
            by_day[day] = by_day.get(day, 0) + units
    steps = _add_up(changes)
    return steps, by_day if limit.per_day is not None else _peaks(steps, campaign.timezone)


def _units(limit: Limit, members: frozenset[NodeId], window: Window, campaign: Campaign, fleet: Fleet) -> int:
    """What a window takes of the limit, in its own count."""
    if limit.what is LimitKind.NODES_OUT:
        return len(members.intersection(window.nodes))
    cluster = fleet.clusters.get(window.cluster)
    if cluster is None or not limit.where.matches_cluster(cluster):
        return 0
    if limit.what is LimitKind.CLUSTER_WINDOWS:
        return 1
    return int(window.mode is Mode.WHOLE and len(fleet.nodes_by_cluster[window.cluster]) > campaign.big_cluster_nodes)


def _add_up(changes: Iterable[tuple[datetime, int]]) -> Steps:
    at_once: dict[datetime, int] = {}
    for at, count in changes:
        at_once[at] = at_once.get(at, 0) + count
    steps, total = [], 0
    for at in sorted(at_once):
        total += at_once[at]
        steps.append((at, total))
    return tuple(steps)


def _peaks(steps: Steps, zone: str) -> dict[date, int]:
    """The most of each day; what lasts over midnight counts on both days."""
    most: dict[date, int] = {}
    for (at, count), (until, _) in pairwise([*steps, (steps[-1][0], 0)] if steps else []):
        last = calendar_day(max(at, until - timedelta(microseconds=1)), zone)
        for day in days_between(calendar_day(at, zone), last) if count else ():
            most[day] = max(most.get(day, 0), count)
    return most


def _used_of(number: int, curves: Curves) -> tuple[int, ...]:
    """Per step; nothing before the run was looked at first."""
    return tuple(each[number] if len(each) > number else 0 for each in curves.limits)


def _most_by_day(used: Sequence[int], curves: Curves, zone: str) -> Mapping[date, int]:
    most: dict[date, int] = {}
    for number, count in enumerate(used):
        if curves.limits[number]:
            day = calendar_day(curves.start + number * curves.step, zone)
            most[day] = max(most.get(day, 0), count)
    return most
