"""The query screen: a text, its answer as a table, the same as CSV. Works without script, and by its address alone."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from fermata.formats.answers import answer_to_csv, cell_text
from fermata.server.context import Context, Given
from fermata.server.web import render
from fermata.server.web.routing import page_router
from fermata.services import query as queries

ROWS_SHOWN = 200  # a screen; CSV has as many as one answer holds
SERIES_MAX, LABELS_MAX, BARS_MAX = 3, 2, 40  # of a chart: more cannot be read
TEXT_MAX = 64 * 1024
NUMBERS = frozenset({"long", "int", "real", "decimal"})
FRESH = {"Cache-Control": "no-store"}
EXAMPLES: Mapping[str, tuple[str, ...]] = {  # each step on a line of its own
    "What there is": ("resources", "summarize count() by type", "sort by type asc"),
    "What is due, by update": (
        "pendingupdates",
        "summarize units = count(), clusters = dcount(cluster), due = min(dueAt) by updateId, impact, standing",
        "sort by due asc",
    ),
    "Where most falls due within 30 days": (
        "pendingupdates",
        "where dueAt between (now() .. now() + 30d)",
        "summarize updates = dcount(updateId), units = count() by supercomputer, cluster",
        "top 20 by units desc",
    ),
    "What blocks because a version is unknown": (
        "pendingupdates",
        "where standing == 'unknown'",
        "project cluster, unit, component, updateId",
        "sort by unit asc",
    ),
    "Scheduled events by status": (
        "maintenanceresources",
        "where type == 'microsoft.maintenance/scheduledevents'",
        "summarize count() by tostring(properties.EventStatus)",
    ),
    "Pending updates as Azure shows them": (
        "maintenanceresources",
        "where type =~ 'microsoft.maintenance/updates'",
        "mv-expand u = properties.value",
        "project name, status = u.status, impact = u.impactType, notBefore = u.notBefore, update = u.updateId",
        "take 50",
    ),
    "What was done, and what waits for a repair": (
        "maintenanceresources",
        "where type == 'microsoft.maintenance/applyupdates'",
        "summarize count() by status = tostring(properties.status), state = tostring(properties.state)",
    ),
}

router = page_router()

Text = Annotated[str, Query(max_length=TEXT_MAX)]


@router.get("/query")
def query_page(given: Given, q: Text = "") -> Response:
    """The screen, with the answer when something is asked. A refusal is shown where the answer would stand."""
    shown: dict[str, Any] = {"answer": None, "refusal": None}
    status = HTTPStatus.OK
    if q.strip():
        try:
            shown["answer"] = _shown(_ask(given, q, ROWS_SHOWN))
        except queries.QueryRefused as refused:
            shown["refusal"], status = refused.reason, HTTPStatus.BAD_REQUEST
    tables = {name: ", ".join(columns) for name, columns in queries.COLUMNS.items()}
    examples = {title: "\n| ".join(steps) for title, steps in EXAMPLES.items()}
    html = render.render_page("query.html", text=_lines(q), examples=examples, tables=tables, **shown)
    return HTMLResponse(html, status_code=status, headers=FRESH)


@router.get("/query.csv")
def query_csv(given: Given, q: Text) -> Response:
    """The answer as a file."""
    answer = _ask(given, q, queries.ROWS_MAX)
    text = answer_to_csv([column.name for column in answer.columns], answer.rows)
    headers = {**FRESH, "Content-Disposition": 'attachment; filename="fermata-query.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def _lines(text: str) -> str:
    """A form sends line ends as CR LF."""
    return text.replace("\r\n", "\n")


def _ask(given: Context, text: str, limit: int) -> queries.Answer:
    return given.desk.ask(queries.Question(text=text, now=given.now(), limit=limit))


def _shown(answer: queries.Answer) -> dict[str, Any]:
    return {
        "columns": [{"name": column.name, "is_number": column.kind in NUMBERS} for column in answer.columns],
        "rows": [[cell_text(value) for value in row] for row in answer.rows],
        "total": answer.total,
        "csv_rows": min(answer.total, queries.ROWS_MAX),
        "is_cut": answer.is_cut,
        "chart": _chart(answer),
    }


def _chart(answer: queries.Answer) -> dict[str, Any] | None:
    """What is drawn of an answer: its first numbers, by the texts before them. None where that says nothing."""
    numbers = [at for at, column in enumerate(answer.columns) if column.kind in NUMBERS][:SERIES_MAX]
    texts = [at for at, column in enumerate(answer.columns) if column.kind not in NUMBERS][:LABELS_MAX]
    if not numbers or not texts or not 1 < len(answer.rows) <= BARS_MAX:
        return None
    names = [answer.columns[at].name for at in numbers]
    by = ", ".join(answer.columns[at].name for at in texts)
    return {
        "says": f"{', '.join(names)} by {by}",
        "labels": [", ".join(cell_text(row[at]) for at in texts) for row in answer.rows],
        "series": [
            {"name": name, "values": [row[at] for row in answer.rows]} for name, at in zip(names, numbers, strict=True)
        ],
    }
