"""A plan made ready for simulation: its windows with who takes part, day by day, and the limits that count them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.ids import ClusterId
from fermata.domain.pending import find_pending
from fermata.domain.plans import Plan, Step, VerifyStep, Window
from fermata.domain.windows import ONE_DAY, calendar_day, day_interval, days_between
from fermata.planning.cast import Cast, find_cast, order_cast
from fermata.planning.inputs import PlanningInput
from fermata.planning.limits import describe_limit, limit_capacity
from fermata.planning.rehearsal import count_needed

MINUTE = timedelta(minutes=1)
DAY_MINUTES = 24 * 60
Counts = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """A limit on what is out, or open, at any instant. `allowed`: how many may be."""

    limit: Limit
    name: str
    allowed: int

    def counts_on(self, day: date) -> bool:
        """True when the limit is in force for windows of that day."""
        limit = self.limit
        after_first = limit.first_day is None or day >= limit.first_day
        return after_first and (limit.last_day is None or day <= limit.last_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One window. All times are minutes after the campaign's epoch. `latest`: when it may open at the latest.

    `kinds`: its columns by the limits on nodes out that count them, as (indices of caps, columns);
    `opens`: the limits on open windows that count it.
    """

    window: Window
    cast: Cast
    needed: int
    start: int
    end: int
    latest: int
    back_by: int
    kinds: tuple[tuple[tuple[int, ...], NDArray[np.intp]], ...]
    opens: tuple[int, ...]

    @property
    def steps(self) -> Sequence[Step]:
        """The steps of the window."""
        return self.window.steps


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The whole plan. `epoch` is aware UTC; `days`: the scenes of each day by their start."""

    inputs: PlanningInput
    plan: Plan
    epoch: datetime
    caps: tuple[Cap, ...]
    days: tuple[tuple[date, tuple[Scene, ...]], ...]
    clusters: tuple[ClusterId, ...]
    deadline: int
    deadline_day_end: int

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All windows, in the order in which they are due."""
        return tuple(scene for _, scenes in self.days for scene in scenes)

    @property
    def fan_days(self) -> tuple[date, ...]:
        """Every calendar day from the first window's to the deadline, or to the last window's if that is later."""
        return tuple(days_between(self.days[0][0], max(self.days[-1][0], self.inputs.campaign.deadline)))

    @property
    def fan_ends(self) -> NDArray[np.int64]:
        """The minute at which each of `fan_days` is over."""
        to_deadline = [(day - self.inputs.campaign.deadline).days for day in self.fan_days]
        return self.deadline_day_end + DAY_MINUTES * np.array(to_deadline, dtype=np.int64)


def set_stage(inputs: PlanningInput, plan: Plan) -> Stage:
    """The plan and what it is judged by. The inputs are those that the plan was made from."""
    campaign = inputs.campaign
    pending = find_pending(inputs.fleet, inputs.catalogue, campaign.updates)
    caps = _find_caps(inputs)
    epoch = min((window.start for window in plan.windows), default=inputs.now)
    days: dict[date, list[Scene]] = {}
    for window in sorted(plan.windows, key=lambda window: (window.start, window.id)):
        nodes = order_cast([inputs.fleet.nodes[name] for name in window.nodes])
        cast = find_cast(nodes, window.steps, fleet=inputs.fleet, pending=pending)
        day = _day_of(inputs, window.start)
        days.setdefault(day, []).append(_make_scene(inputs, window, cast, caps, day, epoch))
    hours = campaign.daily_window
    deadline = day_interval(campaign.deadline, hours.start, hours.back_in_service_by, campaign.timezone).end
    midnight = day_interval(campaign.deadline, hours.start, _MIDNIGHT, campaign.timezone).end
    return Stage(
        inputs=inputs,
        plan=plan,
        epoch=epoch,
        caps=caps,
        days=tuple((day, tuple(days[day])) for day in sorted(days)),
        clusters=tuple(sorted({window.cluster for window in plan.windows})),
        deadline=(deadline - epoch) // MINUTE,
        deadline_day_end=(midnight - epoch) // MINUTE,
    )


_MIDNIGHT = datetime.min.time()


def _day_of(inputs: PlanningInput, start: datetime) -> date:
    """The day whose daily window this is; one that crosses midnight belongs to the day on which it began."""
    day, hours = calendar_day(start, inputs.campaign.timezone), inputs.campaign.daily_window
    before = day - ONE_DAY
    room = day_interval(before, hours.start, hours.back_in_service_by, inputs.campaign.timezone)
    return before if room.start <= start < room.end else day


def _make_scene(
    inputs: PlanningInput, window: Window, cast: Cast, caps: Sequence[Cap], day: date, epoch: datetime
) -> Scene:
    campaign = inputs.campaign
    hours = campaign.daily_window
    back_by = (day_interval(day, hours.start, hours.back_in_service_by, campaign.timezone).end - epoch) // MINUTE
    start, end = (window.start - epoch) // MINUTE, (window.end - epoch) // MINUTE
    verify = next(step.start for step in window.steps if isinstance(step, VerifyStep))
    spare = round(inputs.catalogue.defaults.verify_minutes.p50)
    bare = min((verify - epoch) // MINUTE + spare, end) - start
    cluster = inputs.fleet.clusters[window.cluster]
    opens = tuple(
        index
        for index, cap in enumerate(caps)
        if cap.limit.what is LimitKind.CLUSTER_WINDOWS and cap.limit.where.matches_cluster(cluster)
    )
    return Scene(
        window=window,
        cast=cast,
        needed=count_needed(cast.nodes, campaign.return_threshold),
        start=start,
        end=end,
        latest=max(start, back_by - bare),
        back_by=max(back_by, end),
        kinds=_find_kinds(inputs, window, [cap for cap in caps if cap.counts_on(day)], caps),
        opens=tuple(index for index in opens if caps[index].counts_on(day)),
    )


def _find_kinds(
    inputs: PlanningInput, window: Window, in_force: Sequence[Cap], caps: Sequence[Cap]
) -> tuple[tuple[tuple[int, ...], NDArray[np.intp]], ...]:
    cluster = inputs.fleet.clusters[window.cluster]
    counted = [i for i, cap in enumerate(caps) if cap in in_force and cap.limit.what is LimitKind.NODES_OUT]
    kinds: dict[tuple[int, ...], list[int]] = {}
    for column, node in enumerate(order_cast([inputs.fleet.nodes[name] for name in window.nodes])):
        kind = tuple(index for index in counted if caps[index].limit.where.matches(node, cluster))
        kinds.setdefault(kind, []).append(column)
    return tuple((kind, np.array(columns, dtype=np.intp)) for kind, columns in sorted(kinds.items()))


def _find_caps(inputs: PlanningInput) -> tuple[Cap, ...]:
    """The limits that chance can break. Whole big clusters are counted per day as planned: chance adds none."""
    campaign, fleet = inputs.campaign, inputs.fleet
    clusters = [cluster for cluster in fleet.clusters.values() if campaign.scope.matches_cluster(cluster)]
    caps: list[Cap] = []
    for limit in campaign.limits:
        if limit.what is LimitKind.WHOLE_BIG_CLUSTERS:
            continue
        allowed = limit_capacity(limit, clusters, fleet)
        caps.append(Cap(limit=limit, name=describe_limit(limit), allowed=allowed))
    return tuple(caps)
