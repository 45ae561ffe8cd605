"""A campaign in the words of `campaign.yaml`: what `campaign` reads again as the same campaign."""

from datetime import datetime, time, timedelta
from typing import Any, assert_never

from fermata.domain.campaign import (
    AvoidWeekday,
    Campaign,
    FewestWindows,
    FinishByDeadline,
    Limit,
    OrderClasses,
    Preference,
    SpreadEvenly,
    Where,
    WorkloadOrder,
)
from fermata.domain.phases import ControlPhase, GateTerms, Phases
from fermata.formats.values import WEEKDAYS

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def campaign_document(campaign: Campaign) -> dict[str, Any]:
    """Plain values, by the keys of the file."""
    window, rolling, fallout = campaign.daily_window, campaign.rolling, campaign.fallout
    updates = {"all_production_ready": True} if campaign.updates is None else sorted(campaign.updates)
    said = {
        "id": str(campaign.id),
        "title": campaign.title,
        "planned_as_of": _instant(campaign.planned_as_of),
        "scope": _where(campaign.scope),
        "updates": updates,
        "timezone": campaign.timezone,
        "first_day": campaign.first_day.isoformat(),
        "deadline": campaign.deadline.isoformat(),
        "extension_until": campaign.extension_until.isoformat(),
        "daily_window": {
            "start": _clock(window.start),
            "back_in_service_by": _clock(window.back_in_service_by),
            "hard_stop": _clock(window.hard_stop),
        },
        "weekends": "staffed" if campaign.weekends_staffed else "never",
        "avoid_weekdays": [WEEKDAYS[number] for number in campaign.avoid_weekdays],
        "big_cluster_nodes": campaign.big_cluster_nodes,
        "rolling": {
            "min_fraction_per_day": rolling.min_fraction_per_day,
            "max_fraction_per_day": rolling.max_fraction_per_day,
        },
        "limits": [_limit(limit) for limit in campaign.limits],
        "preferences": [_preference(preference) for preference in campaign.preferences],
        "fallout": {"fraction": fallout.fraction, "mean_days_to_repair": fallout.mean_days_to_repair},
        "return_threshold": campaign.return_threshold,
        "open_confidence": campaign.open_confidence,
        "phases": _phases(campaign.phases),
    }
    return {key: value for key, value in said.items() if value is not None}


def _limit(limit: Limit) -> dict[str, Any]:
    said = {
        "what": limit.what.value,
        "at_once": limit.at_once,
        "at_once_fraction": limit.at_once_fraction,
        "per_day": limit.per_day,
        "where": _where(limit.where) or None,
        "from": limit.first_day.isoformat() if limit.first_day is not None else None,
        "until": limit.last_day.isoformat() if limit.last_day is not None else None,
    }
    return {key: value for key, value in said.items() if value is not None}


def _preference(preference: Preference) -> str | dict[str, Any]:
    match preference:
        case FinishByDeadline() | FewestWindows() | WorkloadOrder():
            return preference.term
        case OrderClasses(classes=classes):
            return {"order": list(classes)}
        case SpreadEvenly(where=where, over=over):
            return {"spread_evenly": _where(where), "over": over}
        case AvoidWeekday(weekday=weekday):
            return {"avoid": WEEKDAYS[weekday]}
        case _:
            assert_never(preference)


def _phases(phases: Phases) -> dict[str, Any]:
    full, test, stops = phases.full, phases.full.test, phases.full.stops
    go = {"windows": sorted(each.value for each in phases.go_windows), "updates": sorted(phases.go_updates)}
    said = {
        "counts": sorted(counted.value for counted in full.counts),
        "bake_minutes": full.bake // MINUTE,
        "test": {
            "false_stop": test.false_stop,
            "missed_stop": test.missed_stop,
            "worse_factor": test.worse_factor,
            "worse_by": test.worse_by,
        },
        "stops": {
            "first_failed": stops.first_failed,
            "of_first": stops.of_first,
            "rack_failed": stops.rack_failed,
            "rack_share": stops.rack_share,
        },
        "on_failure": full.on_failure.value,
        "control": _control(phases.control) if phases.control is not None else None,
        "metrics": list(phases.metrics) or None,
        "go": {key: names for key, names in go.items() if names} or None,
    }
    return {key: value for key, value in said.items() if value is not None}


def _control(control: ControlPhase) -> dict[str, Any]:
    gate: GateTerms = control.gate
    assert gate.decide_within is not None, "a control phase is decided at some time"
    return {
        "max_fraction": control.max_fraction,
        "at_least": gate.at_least,
        "bake_minutes": gate.bake // MINUTE,
        "decide_within_hours": gate.decide_within // HOUR,
        "on_failure": gate.on_failure.value,
    }


def _where(where: Where) -> dict[str, list[str]]:
    return {column: sorted(values) for column, values in where.conditions.items()}


def _clock(at: time) -> str:
    return f"{at:%H:%M}"


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
