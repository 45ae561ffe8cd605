"""A plan as one HTML file that stands alone: inline style, charts of plain elements, no scripts, nothing loaded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from fermata.domain.campaign import Limit, LimitKind
from fermata.domain.ids import ClusterId, UpdateId, WindowId
from fermata.domain.outlines import find_tightest, name_hosts, outline_days, outline_left_out, outline_rolled
from fermata.domain.plans import ConsentBasis, DeviceApplyStep, Mode, NodeApplyStep, Plan, RebootStep, Step, Window
from fermata.domain.updates import Stage, Update
from fermata.domain.window_terms import WindowTerm, WindowTerms
from fermata.domain.windows import calendar_day, days_between
from fermata.formats.comparison import tell_changes, tell_verdict
from fermata.formats.plan_words import tell_terms
from fermata.planning.inputs import PlanningInput
from fermata.planning.weak_promises import find_weak_promises
from fermata.planning.what_if import Comparison
from fermata.planning.why_load import Loads
from fermata.planning.why_window import WindowExplainer, WindowWhy
from fermata.server.web import alone
from fermata.server.web.report import limit_words

ROWS_MOST = 400  # clusters in the calendar: beyond it nobody scrolls
EXPLAINED_MOST = 1500  # windows with their reasons: each takes some milliseconds and a kilobyte
STEP_WORDS = {
    "drain": "Drain",
    "device_apply": "Update devices",
    "node_apply": "Update nodes",
    "reboot": "Reboot",
    "verify": "Verify, return",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """One limit or team: what it allows, the most taken, and each day's peak as a share of the larger of both."""

    name: str
    allowed: int
    most: int
    bars: tuple[tuple[date, int, float], ...]
    mark: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cluster on one calendar day: a window, a freeze, or nothing."""

    day: date
    window: Window | None
    freeze: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """Steps of one kind and update together; `left` and `width` are per cent of the window."""

    name: str
    what: str
    start: datetime
    end: datetime
    batches: int
    left: float
    width: float


def render_plan(inputs: PlanningInput, plan: Plan, *, comparison: Comparison | None = None) -> str:
    """One HTML document; every text from outside is escaped. `inputs` are those the plan was made from."""
    campaign = inputs.campaign
    environment = alone.environment(campaign.timezone)
    days = outline_days(plan, campaign.timezone)
    return environment.get_template("plan.html").render(
        plan=plan,
        campaign=campaign,
        comparison=comparison,
        changes=tell_changes(comparison, campaign) if comparison else (),
        verdict=tell_verdict(comparison) if comparison else "",
        days=days,
        left_out=outline_left_out(plan),
        services=find_tightest(plan.services),
        hosts=name_hosts,
        rolled=outline_rolled(plan, campaign.timezone),
        whole=sum(window.mode is Mode.WHOLE for window in plan.windows),
        nodes=sum(len(window.nodes) for window in plan.windows),
        late=[w for day in days if day.day > campaign.deadline for w in day.windows],
        late_nodes=sum(day.nodes for day in days if day.day > campaign.deadline),
        least_sure=min(plan.windows, key=lambda w: (w.end_confidence, w.id), default=None),
        unsure={weak.window.id: weak.reason for weak in find_weak_promises(plan, campaign, wanted=inputs.confidence)},
        unkept=sum(1 - window.end_confidence for window in plan.windows),
        terms=tell_terms(plan.objective, campaign),
        limits=_limit_rows(inputs, plan) if plan.windows else (),
        columns=_columns(plan, campaign.timezone),
        rows=_calendar(inputs, plan),
        rows_hidden=max(0, len({w.cluster for w in plan.windows}) - ROWS_MOST),
        why=_explain(inputs, plan),
        conditions=_conditions(inputs, plan),
        steps={window.id: tuple(_step_rows(window)) for window in plan.windows},
        is_draft=plan.consent is ConsentBasis.ASSUMED,
        titles={update.id: _title(update) for update in inputs.catalogue.updates.values()},
        Mode=Mode,
    )


def _title(update: Update) -> str:
    """With its id, and what else there is to say of it, in brackets."""
    told: list[str] = [update.id] if update.id != update.title else []
    told += ["a flight"] if update.stage is Stage.FLIGHT_READY else []
    return f"{update.title} ({', '.join(told)})" if told else update.title


def _conditions(inputs: PlanningInput, plan: Plan) -> Mapping[WindowId, tuple[WindowTerm, ...]]:
    """What the approvals of each window hold themselves to; a draft assumes approvals without any."""
    terms = WindowTerms(inputs.fleet, inputs.policy, inputs.catalogue.updates, inputs.ledger or ())
    return {window.id: terms.find(window) for window in plan.windows}


def _explain(inputs: PlanningInput, plan: Plan) -> Mapping[WindowId, WindowWhy]:
    if not plan.windows or len(plan.windows) > EXPLAINED_MOST:
        return {}
    explainer = WindowExplainer(inputs, plan)
    return {window.id: explainer.explain(window) for window in plan.windows}


def _limit_rows(inputs: PlanningInput, plan: Plan) -> list[LimitRow]:
    """Limits and teams that windows take something of, all over the same days: up to the last one with a window."""
    loads = Loads(inputs, plan)
    last = max(loads.day_of(window) for window in plan.windows) + 1
    rows = []
    for resource, peaks in loads.list_peaks():
        top = max(resource.capacity, *peaks, 1)
        days = zip(loads.days[:last], peaks[:last], strict=True)
        rows.append(
            LimitRow(
                name=_limit_name(resource.source) if isinstance(resource.source, Limit) else resource.name,
                allowed=resource.capacity,
                most=max(peaks),
                bars=tuple((day.date, peak, 100 * peak / top) for day, peak in days),
                mark=100 * resource.capacity / top,
            )
        )
    return rows


def _limit_name(limit: Limit) -> str:
    return (
        "nodes out at once" if limit.what is LimitKind.NODES_OUT and not limit.where.conditions else limit_words(limit)
    )


def _columns(plan: Plan, timezone: str) -> tuple[date, ...]:
    """Every calendar day from the first window's to the last one's."""
    days = [calendar_day(window.start, timezone) for window in plan.windows]
    return tuple(days_between(min(days), max(days))) if days else ()


def _calendar(inputs: PlanningInput, plan: Plan) -> list[tuple[ClusterId, tuple[Cell, ...]]]:
    """Clusters by the start of their first window, each with a cell per day."""
    timezone = inputs.campaign.timezone
    columns = _columns(plan, timezone)
    windows: dict[ClusterId, dict[date, Window]] = {}
    for window in plan.windows:
        windows.setdefault(window.cluster, {})[calendar_day(window.start, timezone)] = window
    names = sorted(windows, key=lambda name: (min(w.start for w in windows[name].values()), name))
    return [(name, _cells(inputs, name, columns, windows[name])) for name in names[:ROWS_MOST]]


def _cells(
    inputs: PlanningInput, name: ClusterId, columns: Sequence[date], windows: Mapping[date, Window]
) -> tuple[Cell, ...]:
    cluster = inputs.fleet.clusters[name]
    nodes = inputs.fleet.nodes_by_cluster[name]
    held = [f for f in inputs.policy.freezes if any(f.scope.covers(node, cluster) for node in nodes)]
    zone = ZoneInfo(inputs.campaign.timezone)
    cells = []
    for day in columns:
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        frozen = [f for f in held if f.start < midnight + timedelta(days=1) and f.end > midnight]
        words = "; ".join(f"{f.id}: {f.reason}" for f in frozen)
        cells.append(Cell(day=day, window=windows.get(day), freeze=words))
    return tuple(cells)


def _step_rows(window: Window) -> Iterator[StepRow]:
    groups: dict[tuple[str, tuple[UpdateId, ...]], list[Step]] = {}
    for step in window.steps:
        groups.setdefault((step.step, _updates_of(step)), []).append(step)
    length = (window.end - window.start) / timedelta(minutes=1)
    for (kind, updates), steps in groups.items():
        start, end = min(s.start for s in steps), max(s.end for s in steps)
        yield StepRow(
            name=STEP_WORDS[kind],
            what=", ".join(updates),
            start=start,
            end=end,
            batches=len(steps),
            left=round(100 * ((start - window.start) / timedelta(minutes=1)) / length, 2),
            width=round(100 * ((end - start) / timedelta(minutes=1)) / length, 2),
        )


def _updates_of(step: Step) -> tuple[UpdateId, ...]:
    if isinstance(step, NodeApplyStep | DeviceApplyStep):
        return (step.update,)
    return step.activates if isinstance(step, RebootStep) else ()
