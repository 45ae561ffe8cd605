"""Grafana's dashboards over the families of `/metrics` and the recorded series. Why plain JSON: docs/decisions/0104."""

from collections.abc import Sequence
from typing import Any

from fermata.server.doors import metric_families as of
from fermata.server.doors.alert_rules import RECORDINGS
from fermata.services.figures import Measure

SOURCE = {"type": "prometheus", "uid": "${source}"}
SCHEMA = 39  # of Grafana 10; later ones read it, too
WIDTH, STAT, SERIES = 24, (6, 4), (12, 8)  # of the grid; of a panel, across and down
Shown = tuple[str, str, str, str, str]  # kind, title, expression, legend, unit


def consent_dashboard() -> dict[str, Any]:
    """What waits, is overdue, approved or blocked."""
    shown: list[Shown] = [
        ("stat", family.meaning, f"sum({family.name})", "", "none") for family in of.MEASURED.values()
    ]
    unapproved, rule = of.MEASURED[Measure.UNAPPROVED].name, of.BLOCKED.name
    shown += [
        ("timeseries", "Unapproved nodes by cluster", f"topk(20, {unapproved} > 0)", "{{cluster}}", "none"),
        ("timeseries", "Blocked nodes by rule", f"sum by (rule) ({rule})", "{{rule}}", "none"),
        ("timeseries", "Pending nodes by update", of.UPDATE_NODES.name, "{{update}}", "none"),
        ("timeseries", "Time until requests are due", f"{of.REQUEST_DUE.name} - time()", "{{request}}", "s"),
    ]
    return _dashboard("fermata-consent", "Fermata: consent and maintenance", shown)


def run_dashboard() -> dict[str, Any]:
    """The run: what is out against the limits, what is back, which windows are behind, what is not back."""
    totals = (of.RUN_PLANNED, of.RUN_RETURNED, of.RUN_OUT, of.RUN_IN_SERVICE)
    shown: list[Shown] = [("stat", family.meaning, family.name, "{{campaign}}", "none") for family in totals]
    limits = f"{of.LIMIT_ALLOWED.name} - {of.LIMIT_USED.name}"
    shown += [
        ("timeseries", "Nodes out now", of.RUN_OUT.name, "{{campaign}}", "none"),
        ("timeseries", "Left under each limit, in its own count", limits, "{{limit}}", "none"),
        ("timeseries", of.WINDOW_BEHIND.meaning, of.WINDOW_BEHIND.name, "{{cluster}}", "s"),
        ("timeseries", of.WINDOW_KEPT.meaning, of.WINDOW_KEPT.name, "{{cluster}}", "percentunit"),
        ("timeseries", "Until enough is back", f"{of.WINDOW_BACK.name} - time()", "{{cluster}}, {{sure}}", "s"),
        ("timeseries", of.TAIL.meaning, of.TAIL.name, "{{code}}", "none"),
        ("timeseries", of.TAIL_OLDEST.meaning, of.TAIL_OLDEST.name, "{{campaign}}", "s"),
        ("timeseries", of.NEEDS.meaning, of.NEEDS.name, "{{code}}", "none"),
    ]
    shown += [("timeseries", one.meaning, one.name, "__auto", "percentunit") for one in RECORDINGS]
    return _dashboard("fermata-run", "Fermata: the run", shown)


DASHBOARDS = {"fermata-consent.json": consent_dashboard, "fermata-run.json": run_dashboard}


def _dashboard(uid: str, title: str, shown: Sequence[Shown]) -> dict[str, Any]:
    return {
        "title": title,
        "uid": uid,
        "schemaVersion": SCHEMA,
        "tags": ["fermata"],
        "time": {"from": "now-7d", "to": "now"},
        "refresh": "1m",
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": _placed(shown),
    }


def _placed(shown: Sequence[Shown]) -> list[dict[str, Any]]:
    """Row by row from the top left."""
    panels, x, y, tall = [], 0, 0, 0
    for number, panel in enumerate(shown, start=1):
        across, down = STAT if panel[0] == "stat" else SERIES
        if x + across > WIDTH or (tall and down != tall):
            x, y = 0, y + tall
        tall = down
        panels.append(_panel(number, panel, {"x": x, "y": y, "w": across, "h": down}))
        x += across
    return panels


def _panel(number: int, shown: Shown, place: dict[str, int]) -> dict[str, Any]:
    kind, title, expression, legend, unit = shown
    return {
        "id": number,
        "type": kind,
        "title": title,
        "gridPos": place,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [{"refId": "A", "expr": expression, "legendFormat": legend, "datasource": SOURCE}],
    }
