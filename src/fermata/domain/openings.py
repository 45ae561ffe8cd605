"""Whether a window may open right now: every limit of the campaign, against what is really out and open."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fermata.domain.campaign import Campaign, Limit, LimitKind
from fermata.domain.fleet import Fleet
from fermata.domain.ids import ClusterId, NodeId
from fermata.domain.operations import WindowRun
from fermata.domain.plans import Mode
from fermata.domain.run_states import WindowState
from fermata.domain.windows import calendar_day, local_to_utc

ALMOST = 1e-9  # 0.29 x 100 is 28.999999999999996 in floating point
DAYS_AHEAD = 14  # of looking for the next staffed day: two weekends always lie within


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One limit, what it allows, and what is used of it now."""

    limit: Limit
    allowed: int
    used: int


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The campaign's limits with the nodes each of them counts."""

    campaign: Campaign
    fleet: Fleet
    counted: tuple[tuple[Limit, frozenset[NodeId], int], ...]

    def uses(self, out: frozenset[NodeId], windows: Collection[WindowRun], now: datetime) -> tuple[Use, ...]:
        """How much of every limit is used, in the campaign's order. `windows`: all of the run."""
        today = calendar_day(now, self.campaign.timezone)
        return tuple(
            Use(limit=limit, allowed=allowed, used=self._used(limit, members, out, windows, today))
            for limit, members, allowed in self.counted
        )

    def first_full(
        self, window: WindowRun, taken: frozenset[NodeId], uses: tuple[Use, ...], now: datetime
    ) -> tuple[Use, int] | None:
        """The first limit that `window` with the nodes `taken` would break, and what it would add to it; or None."""
        today = calendar_day(now, self.campaign.timezone)
        for (limit, members, allowed), use in zip(self.counted, uses, strict=True):
            added = self._added(limit, members, window, taken, today)
            if added and use.used + added > allowed:
                return use, added
        return None

    def _used(
        self,
        limit: Limit,
        members: frozenset[NodeId],
        out: frozenset[NodeId],
        windows: Collection[WindowRun],
        today: date,
    ) -> int:
        match limit.what:
            case LimitKind.NODES_OUT:
                return len(out & members)
            case LimitKind.CLUSTER_WINDOWS:
                return sum(w.state is WindowState.OPEN and self._meant(limit, w.cluster) for w in windows)
            case LimitKind.WHOLE_BIG_CLUSTERS:
                zone = self.campaign.timezone
                opened = [w for w in windows if w.opened_at and calendar_day(w.opened_at, zone) == today]
                return sum(self._is_whole_big(limit, w, today) for w in opened)

    def _added(
        self, limit: Limit, members: frozenset[NodeId], window: WindowRun, taken: frozenset[NodeId], today: date
    ) -> int:
        match limit.what:
            case LimitKind.NODES_OUT:
                return len(taken & members)
            case LimitKind.CLUSTER_WINDOWS:
                return int(self._meant(limit, window.cluster))
            case LimitKind.WHOLE_BIG_CLUSTERS:
                return int(self._is_whole_big(limit, window, today))

    def _meant(self, limit: Limit, cluster: ClusterId) -> bool:
        return limit.where.matches_cluster(self.fleet.clusters[cluster])

    def _is_whole_big(self, limit: Limit, window: WindowRun, today: date) -> bool:
        in_force = (limit.first_day is None or limit.first_day <= today) and (
            limit.last_day is None or today <= limit.last_day
        )
        is_big = len(self.fleet.nodes_by_cluster[window.cluster]) > self.campaign.big_cluster_nodes
        return in_force and is_big and window.mode is Mode.WHOLE and self._meant(limit, window.cluster)


def count_limits(campaign: Campaign, fleet: Fleet) -> Capacity:
    """Which nodes each limit counts, worked out once."""
    in_scope = [node for node in fleet.nodes.values() if campaign.scope.matches_cluster(fleet.clusters[node.cluster])]
    counted: list[tuple[Limit, frozenset[NodeId], int]] = []
    for limit in campaign.limits:
        members = frozenset(n.name for n in in_scope if limit.where.matches(n, fleet.clusters[n.cluster]))
        counted.append((limit, members, _allowed(limit, len(members))))
    return Capacity(campaign=campaign, fleet=fleet, counted=tuple(counted))


def _allowed(limit: Limit, members: int) -> int:
    if limit.at_once_fraction is not None:
        return int(limit.at_once_fraction * members + ALMOST)
    allowed = limit.at_once if limit.at_once is not None else limit.per_day
    assert allowed is not None
    return allowed


def limit_words(limit: Limit) -> str:
    """A limit as an operator reads it."""
    where = ", ".join(f"{key} {'/'.join(sorted(values))}" for key, values in sorted(limit.where.conditions.items()))
    return f"{limit.what} ({where})" if where else str(limit.what)


def begin_again_at(campaign: Campaign, hard_stop: datetime, now: datetime) -> datetime | None:
    """When an untouched node whose window had its hard stop at `hard_stop` may begin; None when it may now.

    It may on staffed days between the daily window's start and the hard stop.
    """
    if now < hard_stop:
        return None
    zone, daily = campaign.timezone, campaign.daily_window
    today = calendar_day(now, zone)
    for day in (today + timedelta(days=i) for i in range(DAYS_AHEAD)):
        start, stop = local_to_utc(day, daily.start, zone), local_to_utc(day, daily.hard_stop, zone)
        if stop <= start:
            stop = local_to_utc(day + timedelta(days=1), daily.hard_stop, zone)
        if (campaign.weekends_staffed or day.weekday() < 5) and now < stop:
            return None if start <= now else start
    raise AssertionError("two weeks without a staffed day")


def spread_over(
    first: Mapping[NodeId, object], shared: Collection[tuple[str, tuple[NodeId, ...]]]
) -> Mapping[NodeId, tuple[str, NodeId]]:
    """The other nodes that have to stay when the nodes in `first` do, each with the device, and the node, it shares.

    `shared`: each draining device with all nodes behind it.
    """
    staying: dict[NodeId, tuple[str, NodeId]] = {}
    changed = True
    while changed:
        changed = False
        for device, behind in shared:
            example = next((n for n in behind if n in first or n in staying), None)
            for name in behind if example is not None else ():
                if name not in first and name not in staying and example is not None:
                    staying[name] = (device, example)
                    changed = True
    return staying
