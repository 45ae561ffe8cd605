"""`fermata.report/1`: a report as JSON with stable keys, documented in docs/report.md."""

from datetime import UTC, date, datetime
from typing import Any

from fermata.domain.campaign import Where
from fermata.domain.capacity_ledger import CapacityLine
from fermata.domain.reasons import Reason
from fermata.domain.report import (
    SCHEMA,
    Capacity,
    DayLine,
    NodeLine,
    Outcome,
    Report,
    Span,
    WindowLine,
)
from fermata.domain.usage import LimitUse


def report_to_json(report: Report) -> dict[str, Any]:
    """The whole report; times are UTC with Z, durations say their unit, unknown or not yet is null."""
    return {
        "schema": SCHEMA,
        "campaign": report.campaign,
        "title": report.title,
        "timezone": report.timezone,
        "as_of": _time(report.as_of),
        "runs": list(report.runs),
        "complete": report.is_complete,
        "summary": summary_to_json(report),
        "plans": [
            {"id": p.id, "parent": p.parent, "windows": p.windows, "unplanned": p.unplanned} for p in report.plans
        ],
        "windows": [_window(line) for line in report.windows],
        "capacity": _capacity(report.capacity),
        "accounts": [_account(line) for line in report.accounts],
        "repairs": [
            {
                "by": r.group.value,
                "name": r.name,
                "repaired": r.repaired,
                "open": r.open_now,
                "mean_hours": r.mean_hours,
                "median_hours": r.median_hours,
            }
            for r in report.repairs
        ],
        "limits": [_limit(use) for use in report.limits],
        "failures": [
            {"kind": f.kind, "sentence": f.sentence, "seen": f.seen, "nodes": f.nodes, "ended_in_tail": f.ended_in_tail}
            for f in report.failures
        ],
        "versions": [
            {
                "update": v.update,
                "target": v.target,
                "component": v.component,
                "version": v.version,
                "due": v.due,
                "proven": v.proven,
            }
            for v in report.versions
        ],
        "tail": [_tail(line) for line in report.tail],
        "nodes": [_node(line) for line in report.nodes],
    }


def summary_to_json(report: Report) -> dict[str, Any]:
    """The few numbers that answer "is it done, and was it done well"."""
    return {
        "nodes_in_scope": len(report.nodes),
        "nodes": {outcome.value: report.count(outcome) for outcome in Outcome},
        "nodes_left_as_found": sum(line.as_found for line in report.nodes if line.outcome is Outcome.RETURNED),
        "nodes_returned_unproven": len(report.unproven),
        "windows": len(report.windows),
        "windows_ended": sum(line.has_ended for line in report.windows),
        "promises_kept": sum(line.kept_promise is True for line in report.windows),
        "promises_broken": sum(line.kept_promise is False for line in report.windows),
        "limits_exceeded": sum(use.exceeded for use in report.limits),
    }


def limit_where(where: Where) -> dict[str, Any]:
    """A limit's conditions as the campaign file writes them: one value, or a list of values."""
    return {
        key: next(iter(values)) if len(values) == 1 else sorted(values)
        for key, values in sorted(where.conditions.items())
    }


def _window(line: WindowLine) -> dict[str, Any]:
    late = line.late
    return {
        "id": line.id,
        "plan": line.plan,
        "cluster": line.cluster,
        "mode": line.mode.value,
        "part": line.part,
        "parts": line.parts,
        "state": line.state.value,
        "planned": _span(line.planned),
        "actual": _span(line.actual),
        "late_minutes": None if late is None else round(late.total_seconds() / 60),
        "punctuality": line.punctuality,
        "ready_at": _moment(line.ready_at),
        "back_by": _time(line.back_by),
        "promise_kept": line.kept_promise,
        "baseline_nodes": line.baseline,
        "nodes_planned": line.nodes_planned,
        "nodes_taken": line.nodes_taken,
        "nodes_returned": line.nodes_returned,
        "nodes_tail": line.nodes_tail,
        "reason": _reason(line.reason),
    }


def _capacity(capacity: Capacity) -> dict[str, Any]:
    return {
        "baseline_nodes": capacity.baseline,
        "returned_nodes": capacity.returned,
        "owed_nodes": capacity.owed,
        "planned_node_hours": round(capacity.planned_node_hours, 2),
        "actual_node_hours": round(capacity.actual_node_hours, 2),
        "nodes_out_max": capacity.nodes_out_max,
        "in_service_share_min": round(capacity.in_service_share_min, 6),
        "in_service_share_now": round(capacity.in_service_share_now, 6),
        "days": [_day(day) for day in capacity.days],
        "nodes_out": [[_time(at), count] for at, count in capacity.out_curve],
    }


def _day(line: DayLine) -> dict[str, Any]:
    return {
        "day": line.day.isoformat(),
        "planned_node_hours": round(line.planned_node_hours, 2),
        "actual_node_hours": round(line.actual_node_hours, 2),
        "nodes_out_max": line.nodes_out_max,
        "in_service_share_min": round(line.in_service_share_min, 6),
    }


def _limit(use: LimitUse) -> dict[str, Any]:
    limit = use.limit
    return {
        "what": limit.what.value,
        "where": limit_where(limit.where),
        "at_once": limit.at_once,
        "at_once_fraction": limit.at_once_fraction,
        "per_day": limit.per_day,
        "from": None if limit.first_day is None else limit.first_day.isoformat(),
        "until": None if limit.last_day is None else limit.last_day.isoformat(),
        "allowed": use.allowed,
        "observed_max": use.observed,
        "observed_at": _moment(use.at),
        "exceeded": use.exceeded,
    }


def _tail(line: NodeLine) -> dict[str, Any]:
    return {
        "node": line.node,
        "cluster": line.cluster,
        "window": line.window,
        "out_since": None if line.out is None else _time(line.out.start),
        "retries": line.retries,
        "reason": _reason(line.reason),
    }


def _node(line: NodeLine) -> dict[str, Any]:
    return {
        "node": line.node,
        "cluster": line.cluster,
        "outcome": line.outcome.value,
        "as_found": line.as_found,
        "window": line.window,
        "out": _span(line.out),
        "retries": line.retries,
        "targets": dict(sorted(line.targets.items())),
        "proven": dict(sorted(line.proven.items())),
        "reason": _reason(line.reason),
    }


def _reason(reason: Reason | None) -> dict[str, str] | None:
    return None if reason is None else {"code": reason.code.value, "sentence": reason.sentence}


def _span(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    return {
        "start": _time(span.start),
        "end": None if span.end is None else _time(span.end),
        "minutes": span.minutes,
    }


def _moment(at: datetime | date | None) -> str | None:
    if at is None:
        return None
    return _time(at) if isinstance(at, datetime) else at.isoformat()


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _account(line: CapacityLine) -> dict[str, Any]:
    return {
        "customer": line.name,
        "baseline": line.baseline,
        "taken": line.taken,
        "returned": line.returned,
        "kept_out": line.kept_out,
        "untouched": line.untouched,
        "gone": line.gone,
        "owed": line.owed,
        "capacity_owed": line.capacity_owed,
        "windows": line.windows,
        "windows_ready": line.windows_ready,
    }
