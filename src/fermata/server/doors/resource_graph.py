"""Azure Resource Graph's query operation over the query store, for clients that know no other. See docs/query.md."""

import base64
import binascii
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any
from uuid import uuid4

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fermata.domain import arm
from fermata.domain.ids import CustomerId
from fermata.server.context import Context, context_of
from fermata.server.doors.routing import AnyCaseRoute
from fermata.server.metering import run_in_threadpool
from fermata.server.quota import Standing
from fermata.services.query import Answer, Fault, FaultKind, QueryRefused, Question, find_customers

PATH = "/providers/Microsoft.ResourceGraph/resources"
ROWS_MAX = 1000
SKIP_MAX = 2**53
FACETS_MAX = 10  # each is a query of its own
FACET_TEXT_MAX = 1_000
COUNT = "count_"  # the language has no column of the bare name
TABLE_KINDS = {
    "string": "string", "guid": "string", "timespan": "string", "datetime": "datetime", "bool": "boolean",
    "int": "integer", "long": "integer", "real": "number", "decimal": "number", "dynamic": "object",
}  # fmt: skip


class Options(BaseModel):
    """Those that we know; Azure passes over the others too."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    top: Annotated[int | None, Field(alias="$top", ge=1, le=ROWS_MAX)] = None
    skip: Annotated[int | None, Field(alias="$skip", ge=0, le=SKIP_MAX)] = None
    skip_token: Annotated[str | None, Field(alias="$skipToken", max_length=400)] = None
    result_format: Annotated[str | None, Field(alias="resultFormat", pattern="^(?i:table|objectArray)$")] = None


class FacetOptions(BaseModel):
    """How a facet is told; `filter` is put behind the query before anything is counted."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    sort_by: Annotated[str | None, Field(alias="sortBy", max_length=FACET_TEXT_MAX)] = None
    sort_order: Annotated[str | None, Field(alias="sortOrder", pattern="^(?i:asc|desc)$")] = None
    filter: Annotated[str | None, Field(max_length=FACET_TEXT_MAX)] = None
    top: Annotated[int | None, Field(alias="$top", ge=1, le=ROWS_MAX)] = None


class Facet(BaseModel):
    """Columns, or an expression, by which the rows of the whole query are counted."""

    model_config = ConfigDict(extra="ignore")

    expression: Annotated[str, Field(min_length=1, max_length=FACET_TEXT_MAX)]
    options: FacetOptions | None = None


class Body(BaseModel):
    """A query. An empty list of subscriptions means all that the caller may see."""

    model_config = ConfigDict(extra="ignore")

    query: str
    subscriptions: list[str] | None = None
    options: Options | None = None
    facets: Annotated[list[Facet] | None, Field(max_length=FACETS_MAX)] = None


class _Refused(Exception):
    """Ends in a 400; `details` as over there."""

    def __init__(self, *details: Mapping[str, Any]) -> None:
        super().__init__()
        self.details = details


async def post_query(request: Request) -> Response:
    """Rows of resources and maintenanceresources."""
    given = context_of(request)
    standing = given.graph_quota.take(request.client.host if request.client else "", time.monotonic())
    if not standing.allowed:
        return _quota_exceeded(standing)
    body = await request.body()
    try:
        found = await run_in_threadpool(_answer, given, body)
    except _Refused as refused:
        return _reply(HTTPStatus.BAD_REQUEST, _error("BadRequest", refused.details, given), standing)
    except QueryRefused as refused:
        status = HTTPStatus.TOO_MANY_REQUESTS if refused.fault.kind is FaultKind.BUSY else HTTPStatus.BAD_REQUEST
        return _reply(status, _error("BadRequest", _details(refused.fault), given), standing)
    return _reply(HTTPStatus.OK, found, standing)


def _answer(given: Context, raw: bytes) -> dict[str, Any]:
    try:
        body = Body.model_validate_json(raw)
    except ValidationError as error:
        faults = ({"code": "InvalidRequest", "message": f"{_where(f['loc'])}: {f['msg']}"} for f in error.errors())
        raise _Refused(*faults) from error
    options = body.options or Options()
    top = options.top or ROWS_MAX
    skip = options.skip or 0 if options.skip_token is None else _read_token(options.skip_token, body.query)
    question = Question(text=body.query, now=given.now(), limit=top, skip=skip, by_id=True)
    answer = given.desk.ask(question, _customers(given, body))
    as_table = (options.result_format or "").lower() == "table"
    told: dict[str, Any] = {
        "totalRecords": answer.total,
        "count": len(answer.rows),
        "data": _table(answer) if as_table else _objects(answer),
        "facets": [_facet(given, body, facet, as_table=as_table) for facet in body.facets or ()],
        "resultTruncated": "true" if answer.is_cut else "false",
    }
    if answer.is_cut and any(column.name == "id" for column in answer.columns):
        told["$skipToken"] = _write_token(skip + len(answer.rows), body.query)
    return told


def _facet(given: Context, body: Body, facet: Facet, *, as_table: bool) -> dict[str, Any]:
    """Rows counted by the facet's expression. One that has no answer is told beside those that have."""
    options = facet.options or FacetOptions()
    steps = [body.query.rstrip().removesuffix(";")]
    steps += [f"where {options.filter}"] if options.filter else []
    order = (options.sort_order or "desc").lower()
    by = options.sort_by if options.sort_by not in (None, "count") else COUNT
    steps += [f"summarize {COUNT} = count() by {facet.expression}", f"sort by {by} {order}"]
    question = Question(text="\n| ".join(steps), now=given.now(), limit=options.top or ROWS_MAX)
    try:
        answer = given.desk.ask(question, _customers(given, body))
    except QueryRefused as refused:
        if refused.fault.kind is FaultKind.BUSY:
            raise
        errors = _details(refused.fault)
        return {"expression": facet.expression, "resultType": "FacetError", "errors": list(errors)}
    columns = [replace(each, name="count") if each.name == COUNT else each for each in answer.columns]
    named = replace(answer, columns=tuple(columns))
    return {
        "expression": facet.expression,
        "resultType": "FacetResult",
        "totalRecords": answer.total,
        "count": len(answer.rows),
        "data": _table(named) if as_table else _objects(named),
    }


def _customers(given: Context, body: Body) -> frozenset[CustomerId] | None:
    return find_customers(given.db, frozenset(body.subscriptions)) if body.subscriptions else None


def _objects(answer: Answer) -> list[dict[str, Any]]:
    names = [column.name for column in answer.columns]
    return [dict(zip(names, row, strict=True)) for row in answer.rows]


def _table(answer: Answer) -> dict[str, Any]:
    columns = [{"name": column.name, "type": TABLE_KINDS.get(column.kind, "string")} for column in answer.columns]
    return {"columns": columns, "rows": answer.rows}


def _write_token(skip: int, query: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([skip, _digest(query)])).decode()


def _read_token(token: str, query: str) -> int:
    """Where to go on. Raises _Refused for a token of another query, or of nobody."""
    try:
        told = orjson.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        told = None
    match told:
        case [int(skip), str(digest)] if digest == _digest(query) and 0 <= skip <= SKIP_MAX:
            return skip
        case _:
            raise _Refused({"code": "InvalidSkipToken", "message": "The $skipToken belongs to another query."})


def _digest(query: str) -> str:
    return sha256(query.encode()).hexdigest()[:16]


def _details(fault: Fault) -> tuple[dict[str, Any], ...]:
    """As the real service tells them: that the query is invalid, then what is wrong with it and where."""
    match fault.kind:
        case FaultKind.UNPARSABLE | FaultKind.UNSUPPORTED:
            code = "ParserFailure"
        case FaultKind.UNKNOWN_FUNCTION:
            code = "UnknownFunction"
        case FaultKind.UNKNOWN_NAME:
            code = "UnknownName"
        case FaultKind.OVER_LIMIT | FaultKind.STOPPED:
            code = "LimitsExceeded"
        case FaultKind.BUSY:
            code = "RateLimiting"
        case _:
            code = "DisallowedQuery"
    found: dict[str, Any] = {"code": code, "message": code if code == "ParserFailure" else fault.sentence}
    if fault.line is not None:
        found |= {"line": fault.line, "characterPositionInLine": fault.column, "token": fault.token}
    invalid = "Query is invalid. Please refer to the documentation of the service and fix the error before retrying."
    return {"code": "InvalidQuery", "message": invalid}, found


def _error(code: str, details: tuple[Mapping[str, Any], ...], given: Context) -> dict[str, Any]:
    support = f"timestamp = {arm.iso(given.now())}, correlationId = {uuid4()}"
    message = f"Please provide below info when asking for support: {support}."
    return {"error": {"code": code, "message": message, "details": list(details)}}


def _quota_exceeded(standing: Standing) -> Response:
    sentence = "Too many queries in too short a time: ask again when the quota resets."
    answer = _reply(HTTPStatus.TOO_MANY_REQUESTS, {"error": {"code": "RateLimiting", "message": sentence}}, standing)
    answer.headers["Retry-After"] = str(int(standing.resets_after) + 1)
    return answer


def _reply(status: int, body: Mapping[str, Any], standing: Standing) -> Response:
    resets = timedelta(seconds=round(standing.resets_after))
    headers = {
        "x-ms-user-quota-remaining": str(standing.remaining),
        "x-ms-user-quota-resets-after": f"{resets!s:0>8}",
        "x-ms-request-id": str(uuid4()),
        "Cache-Control": "no-store",
    }
    return Response(orjson.dumps(body), status_code=status, media_type="application/json", headers=headers)


def _where(parts: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in parts) or "body"


ROUTES = (AnyCaseRoute(PATH, post_query, method="POST"),)
