"""Kusto's REST query operations, v2 frames and v1 tables, over the query store. See docs/query.md."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, ValidationError

from fermata.domain import arm
from fermata.server.context import Context, context_of
from fermata.server.doors.routing import AnyCaseRoute
from fermata.server.metering import run_in_threadpool
from fermata.services.query import ROWS_MAX, Answer, FaultKind, QueryRefused, Question

DATA_TYPES = {
    "string": "String", "long": "Int64", "int": "Int32", "real": "Double", "bool": "SByte", "datetime": "DateTime",
    "timespan": "TimeSpan", "decimal": "SqlDecimal", "guid": "Guid", "dynamic": "Object",
}  # fmt: skip
COMPLETION_COLUMNS = (
    ("Timestamp", "datetime"), ("ClientRequestId", "string"), ("ActivityId", "guid"), ("SubActivityId", "guid"),
    ("ParentActivityId", "guid"), ("Level", "int"), ("LevelName", "string"), ("StatusCode", "int"),
    ("StatusCodeName", "string"), ("EventType", "int"), ("EventTypeName", "string"), ("Payload", "string"),
)  # fmt: skip
TOO_LARGE = "Kusto.Data.Exceptions.KustoServicePartialQueryFailureLimitsExceededException"


class Body(BaseModel):
    """`csl` is the query. There is one database, by whatever name; properties are passed over."""

    model_config = ConfigDict(extra="ignore")

    csl: str
    db: str = ""


class _NoQuery(Exception):
    """The body holds none."""


async def post_query(request: Request) -> Response:
    """A query's frames."""
    given = context_of(request)
    request_id = request.headers.get("x-ms-client-request-id", f"fermata;{uuid4()}")
    try:
        answer = await run_in_threadpool(_ask, given, await request.body())
    except (QueryRefused, _NoQuery) as refused:
        return _refuse(refused)
    return _reply(HTTPStatus.OK, _frames(answer, request_id, given.now()))


async def post_query_v1(request: Request) -> Response:
    """The same as one table."""
    try:
        answer = await run_in_threadpool(_ask, context_of(request), await request.body())
    except (QueryRefused, _NoQuery) as refused:
        return _refuse(refused)
    columns = [{"ColumnName": c.name, "DataType": DATA_TYPES[c.kind], "ColumnType": c.kind} for c in answer.columns]
    return _reply(HTTPStatus.OK, {"Tables": [{"TableName": "Table_0", "Columns": columns, "Rows": answer.rows}]})


def post_command(_request: Request) -> Response:
    """Refused: there is nothing to manage."""
    return _refuse(_NoQuery("Commands are not answered: the query store is read-only."))


def get_metadata(_request: Request) -> Response:
    """No sign-in yet: a client that asks is told that there is nobody to ask."""
    return Response(status_code=HTTPStatus.NOT_FOUND)


def _ask(given: Context, raw: bytes) -> Answer:
    try:
        body = Body.model_validate_json(raw)
    except ValidationError as error:
        raise _NoQuery("The body is no query: it needs csl, the query's text, and db.") from error
    return given.desk.ask(Question(text=body.csl, now=given.now(), limit=ROWS_MAX))


def _frames(answer: Answer, request_id: str, now: datetime) -> list[dict[str, Any]]:
    ids = [request_id, *[str(uuid4())] * 3]
    payload = orjson.dumps({"Count": 1, "Text": "Query completed successfully"}).decode()
    status = [arm.iso(now), *ids, 4, "Info", 0, "S_OK (0)", 4, "QueryInfo", payload]
    frames: list[dict[str, Any]] = [
        {"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"},
        _data_table(0, "QueryProperties", "@ExtendedProperties", _PROPERTIES, [[1, "Visualization", _NO_CHART]]),
        _data_table(1, "PrimaryResult", "PrimaryResult", [(c.name, c.kind) for c in answer.columns], _rows(answer)),
        _data_table(2, "QueryCompletionInformation", "QueryCompletionInformation", COMPLETION_COLUMNS, [status]),
    ]
    end: dict[str, Any] = {"FrameType": "DataSetCompletion", "HasErrors": answer.is_cut, "Cancelled": False}
    if answer.is_cut:
        end["OneApiErrors"] = [_too_large(answer)]
    return [*frames, end]


def _rows(answer: Answer) -> list[Any]:
    """An answer that was cut ends in an error, so that no client takes it for the whole."""
    return [*answer.rows, {"OneApiErrors": [_too_large(answer)]}] if answer.is_cut else list(answer.rows)


_PROPERTIES = (("TableId", "int"), ("Key", "string"), ("Value", "dynamic"))
_NO_CHART = '{"Visualization":null,"Title":null}'


def _data_table(
    number: int, kind: str, name: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]
) -> dict[str, Any]:
    return {
        "FrameType": "DataTable",
        "TableId": number,
        "TableKind": kind,
        "TableName": name,
        "Columns": [{"ColumnName": column, "ColumnType": type_} for column, type_ in columns],
        "Rows": rows,
    }


def _too_large(answer: Answer) -> dict[str, Any]:
    sentence = f"The answer has {answer.total:,} rows, of {ROWS_MAX:,} at most: summarize, or take fewer."
    error = {"code": "LimitsExceeded", "message": sentence, "@type": TOO_LARGE, "@message": sentence}
    return {"error": {**error, "@context": {}, "@permanent": False}}


def _refuse(refused: QueryRefused | _NoQuery) -> Response:
    sentence, is_busy = str(refused), False
    if isinstance(refused, QueryRefused):
        sentence, is_busy = refused.reason.sentence, refused.fault.kind is FaultKind.BUSY
    error = {
        "code": "General_BadRequest",
        "message": "Request is invalid and cannot be executed.",
        "@type": "Kusto.Data.Exceptions.KustoBadRequestException",
        "@message": sentence,
        "@context": {},
        "@permanent": not is_busy,
    }
    return _reply(HTTPStatus.TOO_MANY_REQUESTS if is_busy else HTTPStatus.BAD_REQUEST, {"error": error})


def _reply(status: int, body: Mapping[str, Any] | list[dict[str, Any]]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), status_code=status, media_type="application/json", headers=headers)


ROUTES = (
    AnyCaseRoute("/v2/rest/query", post_query, method="POST"),
    AnyCaseRoute("/v1/rest/query", post_query_v1, method="POST"),
    AnyCaseRoute("/v1/rest/mgmt", post_command, method="POST"),
    AnyCaseRoute("/v1/rest/auth/metadata", get_metadata, method="GET"),
)
