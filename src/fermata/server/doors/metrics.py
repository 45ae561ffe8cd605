"""What waits, is overdue, approved or blocked, and where the run stands, for Prometheus. See docs/metrics.md."""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Request, Response
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.routing import Route

from fermata.server.context import Context, context_of
from fermata.server.doors import metric_families as of
from fermata.server.doors.dashboards import consent_dashboard
from fermata.server.metering import run_in_threadpool
from fermata.services.figures import Figures, Measure, count_figures
from fermata.services.run_figures import RunFigures, limit_words, run_figures
from fermata.services.run_views import WindowStatus


class _Figures(Collector):
    """One scrape's figures."""

    def __init__(self, figures: Figures, run: RunFigures) -> None:
        self._samples: dict[str, list[tuple[Sequence[str], float]]] = {family.name: [] for family in of.FAMILIES}
        self._take_consent(figures)
        self._take_run(run)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every family, the same ones each time."""
        for family in of.FAMILIES:
            gauge = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
            for labels, value in self._samples[family.name]:
                gauge.add_metric(labels, value)
            yield gauge

    def _add(self, family: of.Family, labels: Sequence[str], value: float | None) -> None:
        if value is not None:
            self._samples[family.name].append((labels, value))

    def _take_consent(self, figures: Figures) -> None:
        for cluster, counts in figures.clusters:
            for measure, family in of.MEASURED.items():
                self._add(family, (cluster.customer, cluster.supercomputer, cluster.name), counts[measure])
        for blocked in figures.blocked:
            place = (blocked.cluster.customer, blocked.cluster.supercomputer, blocked.cluster.name)
            self._add(of.BLOCKED, (*place, blocked.rule), blocked.nodes)
        for update, nodes in figures.updates:
            self._add(of.UPDATE_NODES, (update,), nodes)
        for request, at in figures.due:
            self._add(of.REQUEST_DUE, (request,), at.timestamp())

    def _take_run(self, run: RunFigures) -> None:
        status = run.status
        if status is None:
            return
        campaign = (status.campaign,)
        self._add(of.RUN_LIVE, campaign, float(run.is_live))
        self._add(of.RUN_WORKED, campaign, status.as_of.timestamp())
        self._add(of.RUN_PLANNED, campaign, status.nodes_planned)
        self._add(of.RUN_RETURNED, campaign, status.nodes_returned)
        self._add(of.RUN_OUT, campaign, status.nodes_out)
        self._add(of.RUN_BASELINE, campaign, status.baseline_in_service)
        self._add(of.RUN_IN_SERVICE, campaign, status.in_service)
        self._add(of.TAIL_OLDEST, campaign, max((e.age.total_seconds() for e in status.tail), default=0.0))
        for used in status.limits:
            self._add(of.LIMIT_USED, (*campaign, limit_words(used)), used.used)
            self._add(of.LIMIT_ALLOWED, (*campaign, limit_words(used)), used.allowed)
        for family, counted in ((of.TAIL, run.tail), (of.NEEDS, run.needs)):
            for code, number in counted.items():
                self._add(family, (*campaign, code), number)
        for window in run.opened:
            self._take_window(window, (*campaign, window.cluster, window.window))

    def _take_window(self, window: WindowStatus, labels: tuple[str, ...]) -> None:
        self._add(of.WINDOW_BEHIND, labels, window.behind.total_seconds() if window.behind is not None else None)
        made = window.forecast
        if made is None or made.enough is None:
            return
        self._add(of.WINDOW_BACK, (*labels, "median"), made.enough.median.timestamp())
        self._add(of.WINDOW_BACK, (*labels, "bound"), made.enough.bound.timestamp())
        self._add(of.WINDOW_KEPT, labels, made.kept)


async def get_metrics(request: Request) -> Response:
    """Prometheus's text, or OpenMetrics where the scraper asks for it."""
    given = context_of(request)
    collector = await run_in_threadpool(lambda: _Figures(_figures(given), run_figures(given.db)))
    registry = CollectorRegistry()
    registry.register(collector)
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
    """A dashboard over what waits for consent, to be imported into Grafana."""
    return _json(consent_dashboard())


def _figures(given: Context) -> Figures:
    return count_figures(given.maintenance.look(), given.now())


def _json(body: Any) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), status_code=HTTPStatus.OK, media_type="application/json", headers=headers)


ROUTES = (
    Route("/metrics", get_metrics, methods=["GET"], include_in_schema=False),
    Route("/metrics/rows.json", get_rows, methods=["GET"], include_in_schema=False),
    Route("/metrics/grafana.json", get_dashboard, methods=["GET"], include_in_schema=False),
)
