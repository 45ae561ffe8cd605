"""Explanations as JSON with stable keys, as `fermata why --json` prints them, and what is pending in few rows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, assert_never

from fermata.domain.pending_lines import PendingLine, Standing
from fermata.domain.reasons import Reason
from fermata.planning.why import ClusterWhy, Explanation, NodeStep, NodeWhy
from fermata.planning.why_window import WindowWhy, list_names


def explanation_to_json(found: Explanation) -> dict[str, Any]:
    """JSON-ready; `kind` says whether it is about a window, a cluster or a node."""
    match found.about:
        case WindowWhy():
            body = window_why_to_json(found.about)
        case ClusterWhy():
            body = _cluster(found.about)
        case NodeWhy():
            body = _node(found.about)
        case _:
            assert_never(found.about)
    return {"plan": found.plan, "campaign": found.campaign, "kind": found.about.kind, **body}


def window_why_to_json(why: WindowWhy) -> dict[str, Any]:
    """One window, with a line for each earlier day."""
    return {
        "window": why.id,
        "cluster": why.cluster,
        "mode": why.mode.value,
        "part": why.part,
        "parts": why.parts,
        "start": _time(why.start),
        "end": _time(why.end),
        "nodes": why.nodes,
        "end_confidence": why.end_confidence,
        "unsure": _reason(why.unsure) if why.unsure is not None else None,
        "timezone": why.timezone,
        "earliest_alone": _time(why.earliest_alone) if why.earliest_alone else None,
        "earlier": [{"day": day.day.isoformat(), "reasons": _reasons(day.reasons)} for day in why.earlier],
    }


def _cluster(why: ClusterWhy) -> dict[str, Any]:
    return {
        "cluster": why.cluster,
        "nodes": why.nodes,
        "reasons": _reasons(why.reasons),
        "windows": [window_why_to_json(window) for window in why.windows],
        "unplanned": [{"nodes": list(group.nodes), **_reason(group.reason)} for group in why.unplanned],
    }


def _node(why: NodeWhy) -> dict[str, Any]:
    return {
        "node": why.node,
        "cluster": why.cluster,
        "rack": why.rack,
        "reasons": _reasons(why.reasons),
        "consent": _reason(why.consent),
        "pending": [_pending(line) for line in why.pending],
        "steps": [_step(step) for step in why.steps],
        "window": window_why_to_json(why.window) if why.window else None,
    }


def _pending(line: PendingLine) -> dict[str, Any]:
    return {
        "unit": line.unit,
        "update": line.update,
        "from_version": line.from_version,
        "to_version": line.to_version,
        "standing": line.standing.value,
        "why": line.why,
    }


def _step(step: NodeStep) -> dict[str, Any]:
    return {
        "step": step.step,
        "updates": list(step.updates),
        "devices": list(step.devices),
        "start": _time(step.start),
        "end": _time(step.end),
    }


def _reasons(reasons: Sequence[Reason]) -> list[dict[str, str]]:
    return [_reason(reason) for reason in reasons]


def _reason(reason: Reason) -> dict[str, str]:
    return {"reason": reason.code.value, "sentence": reason.sentence}


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def group_pending(pending: Sequence[PendingLine]) -> list[tuple[str, ...]]:
    """One row for each update and version that units run: update, units, from, to, why. A node hangs on many devices
    that are alike.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for line in pending:
        why = "due" if line.standing is Standing.DUE else line.why or line.standing.value
        groups.setdefault((line.update, line.from_version or "unknown", line.to_version, why), []).append(line.unit)
    return [(key[0], list_names(units), *key[1:]) for key, units in groups.items()]
