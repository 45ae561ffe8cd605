"""What waits, is overdue, approved or blocked, for Prometheus and Grafana. See docs/doors.md."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request, Response
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from fermata.server.context import Context, context_of
from fermata.services.figures import Figures, Measure, count_figures

OF_CLUSTER = ("customer", "supercomputer", "cluster")
MEANINGS = {
    Measure.NODES: "Nodes of the cluster",
    Measure.PENDING: "Nodes with work that is due on them or on a device they hang on",
    Measure.APPROVED: "Nodes with pending work, all of which consent covers",
    Measure.UNAPPROVED: "Nodes with pending work that waits for consent",
    Measure.OVERDUE: "Nodes with unapproved work whose time to choose is over",
    Measure.HELD: "Nodes whose approval was taken back, or whose work a policy keeps off",
    Measure.FROZEN: "Nodes with pending work that a freeze keeps in service now",
    Measure.IN_MAINTENANCE: "Nodes that are being worked on",
}


class _Consent(Collector):
    """One scrape's figures."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every family, the same ones each time."""
        for measure, meaning in MEANINGS.items():
            family = GaugeMetricFamily(_name(measure), meaning, labels=OF_CLUSTER)
            for cluster, counts in self._figures.clusters:
                labels = (cluster.customer, cluster.supercomputer, cluster.name)
                family.add_metric(labels, counts[measure])
            yield family
        rules = GaugeMetricFamily(
            "fermata_nodes_blocked", "Nodes that wait because of a rule or a freeze", labels=(*OF_CLUSTER, "rule")
        )
        for blocked in self._figures.blocked:
            cluster = blocked.cluster
            rules.add_metric((cluster.customer, cluster.supercomputer, cluster.name, blocked.rule), blocked.nodes)
        yield rules
        updates = GaugeMetricFamily("fermata_update_nodes", "Nodes with the update pending", labels=("update",))
        for update, nodes in self._figures.updates:
            updates.add_metric((update,), nodes)
        yield updates
        due = GaugeMetricFamily("fermata_request_due_timestamp_seconds", "When the request is due", labels=("request",))
        for request, at in self._figures.due:
            due.add_metric((request,), at.timestamp())
        yield due


async def get_metrics(request: Request) -> Response:
    """Prometheus's text, or OpenMetrics where the scraper asks for it."""
    figures = await run_in_threadpool(_figures, context_of(request))
    registry = CollectorRegistry()
    registry.register(_Consent(figures))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"Content-Type": content_type, "Cache-Control": "no-store"})


async def get_rows(request: Request) -> Response:
    """The same as rows for Grafana's JSON sources: one for each cluster, or for each rule that blocks there."""
    figures = await run_in_threadpool(_figures, context_of(request))
    rows: list[dict[str, Any]] = []
    for cluster, counts in figures.clusters:
        place = {"customer": cluster.customer, "supercomputer": cluster.supercomputer, "cluster": cluster.name}
        rows.append({**place, **{measure.value: counts[measure] for measure in Measure}})
    blocked = [
        {
            "customer": found.cluster.customer,
            "supercomputer": found.cluster.supercomputer,
            "cluster": found.cluster.name,
            "rule": found.rule,
            "nodes": found.nodes,
        }
        for found in figures.blocked
    ]
    body = {
        "at": context_of(request).now().isoformat(),
        "clusters": rows,
        "blocked": blocked,
        "updates": [{"update": update, "nodes": nodes} for update, nodes in figures.updates],
        "requests": [{"request": request, "due": at.isoformat()} for request, at in figures.due],
    }
    return _json(body)


def get_dashboard(_request: Request) -> Response:
    """A dashboard over the metrics, to be imported into Grafana."""
    expressions = [(f"sum({_name(measure)})", meaning) for measure, meaning in MEANINGS.items()]
    panels = [_stat(number, title, expression) for number, (expression, title) in enumerate(expressions)]
    tables = (
        ("Unapproved nodes by cluster", f"topk(20, {_name(Measure.UNAPPROVED)} > 0)"),
        ("Blocked nodes by rule", "sum by (rule) (fermata_nodes_blocked)"),
        ("Pending nodes by update", "fermata_update_nodes"),
    )
    panels += [_series(len(panels) + number, title, query) for number, (title, query) in enumerate(tables)]
    source = {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return _json(
        {
            "title": "Fermata: consent and maintenance",
            "uid": "fermata-consent",
            "schemaVersion": 39,
            "tags": ["fermata"],
            "time": {"from": "now-7d", "to": "now"},
            "refresh": "1m",
            "templating": {"list": [source]},
            "panels": panels,
        }
    )


def _figures(given: Context) -> Figures:
    return count_figures(given.maintenance.look(), given.now())


def _name(measure: Measure) -> str:
    return "fermata_nodes" if measure is Measure.NODES else f"fermata_nodes_{measure}"


def _stat(number: int, title: str, expression: str) -> dict[str, Any]:
    place = {"x": number % 4 * 6, "y": number // 4 * 4, "w": 6, "h": 4}
    return _panel(number, "stat", title, expression, place)


def _series(number: int, title: str, expression: str) -> dict[str, Any]:
    return _panel(number, "timeseries", title, expression, {"x": 0, "y": number * 8, "w": 24, "h": 8})


def _panel(number: int, kind: str, title: str, expression: str, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    target = {"refId": "A", "expr": expression, "datasource": source}
    return {
        "id": number + 1, "type": kind, "title": title, "gridPos": place, "datasource": source, "targets": [target],
    }  # fmt: skip


def _json(body: Any) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), status_code=HTTPStatus.OK, media_type="application/json", headers=headers)


ROUTES = (
    Route("/metrics", get_metrics, methods=["GET"], include_in_schema=False),
    Route("/metrics/rows.json", get_rows, methods=["GET"], include_in_schema=False),
    Route("/metrics/grafana.json", get_dashboard, methods=["GET"], include_in_schema=False),
)
