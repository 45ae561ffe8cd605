"""How the server says no: problem documents (RFC 9457) with a reason code and a sentence, for every kind of error."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.routing import Match

from fermata.domain.reasons import AccessCode, Code
from fermata.formats.faults import BadInput
from fermata.services.board import StoreUnavailable
from fermata.services.errors import Refusal
from fermata.services.once import DoneBefore
from fermata.services.query import FaultKind, QueryRefused

MEDIA_TYPE = "application/problem+json"
FAULTS_MAX = 50  # in full, as file readers do; `total` counts them all
RETRY_AFTER_SECONDS = 5
RETRY_AFTER_BUSY_SECONDS = 60  # about a plan of January
UNPROCESSABLE = 422  # http.HTTPStatus calls it by one name up to Python 3.12 and by another from 3.13 on
TOO_LARGE = 413  # likewise
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")

NOT_FOUND = frozenset(
    {
        Code.PLAN_UNKNOWN,
        Code.REQUEST_UNKNOWN,
        Code.FREEZE_UNKNOWN,
        Code.CAMPAIGN_UNKNOWN,
        Code.NOTICE_UNKNOWN,
        Code.NO_SUCH_UPDATE,
        Code.OFFER_UNKNOWN,
        Code.ORDER_UNKNOWN,
        Code.SUBSCRIPTION_UNKNOWN,
        Code.SOURCE_UNKNOWN,
        Code.HOLD_UNKNOWN,
        Code.NODE_UNKNOWN,
        Code.RUN_WINDOW_UNKNOWN,
        AccessCode.BREAK_GLASS_UNKNOWN,
    }
)


class Rejected(HTTPException):
    """The request is wrong as such. FastAPI lets its own exceptions through while it reads a body, no others."""

    code: str


class BodyTooLarge(Rejected):
    """The client sent more than it may."""

    code = "BODY_TOO_LARGE"

    def __init__(self, bytes_max: int) -> None:
        super().__init__(TOO_LARGE, f"A request body holds at most {bytes_max:,} bytes: send it in parts.")


class ActorNotCaller(Rejected):
    """Somebody else is named as who speaks than who sent it."""

    code = "ACTOR_IS_NOT_CALLER"

    def __init__(self, named: str, caller: str) -> None:
        sentence = (
            f"{named} is named as who speaks, and {caller} sent it: leave actor out, or name yourself. Nothing was"
            " changed."
        )
        super().__init__(HTTPStatus.FORBIDDEN, sentence)


class TagStale(Rejected):
    """The client looked at something else than what there is."""

    code = "ETAG_STALE"

    def __init__(self) -> None:
        sentence = "If-Match names another version than there is now: read it again. Nothing was changed."
        super().__init__(HTTPStatus.PRECONDITION_FAILED, sentence)


class CursorUnknown(Rejected):
    """The client asks for a page that this list never told of."""

    code = "CURSOR_UNKNOWN"

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.NOT_FOUND, "This is no cursor of this list: hand back what an answer told, or begin anew."
        )


class ServerBusy(Exception):
    """Other long work is on; there is room for one."""


def problem(status: int, code: str, sentence: str, **extra: Any) -> Response:
    """A problem document. `extra` members are listed beside the standard ones."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code}
    body |= {"detail": sentence, **extra}
    return Response(orjson.dumps(body), status_code=status, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Registers an answer for each error that a handler lets through."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(QueryRefused, _query_refused)
    app.add_exception_handler(StoreUnavailable, _store_unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(BadInput, _bad_input)
    app.add_exception_handler(Rejected, _rejected)
    app.add_exception_handler(ServerBusy, _busy)
    app.add_exception_handler(DoneBefore, _known_before)
    app.add_exception_handler(AnyHTTPException, _http)
    app.add_exception_handler(Exception, _broken)


def answer_to(error: Exception) -> Response:
    """The same outside a request's own handling: for what fails after the answer has begun."""
    match error:
        case Refusal():
            return _refused(None, error)
        case BadInput():
            return _bad_input(None, error)
        case StoreUnavailable():
            return _store_unavailable(None, error)
        case _:
            return _broken(None, error)


def _refused(_request: Request | None, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    status = HTTPStatus.NOT_FOUND if error.reason.code in NOT_FOUND else HTTPStatus.CONFLICT
    reasons = [{"code": r.code, "sentence": r.sentence} for r in error.reasons[:FAULTS_MAX]]
    return problem(status, error.reason.code, error.reason.sentence, total=len(error.reasons), reasons=reasons)


def _query_refused(_request: Request | None, error: Exception) -> Response:
    assert isinstance(error, QueryRefused)
    why, fault = error.reason, error.fault
    place: dict[str, Any] = {}
    if fault.line is not None and fault.column is not None:
        place = {"line": fault.line, "column": fault.column + 1, "token": fault.token}
    if fault.kind is not FaultKind.BUSY:
        return problem(HTTPStatus.BAD_REQUEST, why.code, why.sentence, **place)
    answer = problem(HTTPStatus.TOO_MANY_REQUESTS, why.code, why.sentence)
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def _store_unavailable(_request: Request | None, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailable)
    answer = problem(HTTPStatus.SERVICE_UNAVAILABLE, error.code, str(error))
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def _busy(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServerBusy)
    sentence = "The server plans or simulates for somebody else: ask again in a minute. Nothing was begun."
    answer = problem(HTTPStatus.SERVICE_UNAVAILABLE, "SERVER_BUSY", sentence)
    answer.headers["Retry-After"] = str(RETRY_AFTER_BUSY_SECONDS)
    return answer


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(found) for found in error.errors()]
    sentence = f"{len(faults)} fault(s) in the request, nothing was changed. First: {faults[0]['sentence']}"
    return problem(UNPROCESSABLE, "BAD_INPUT", sentence, total=len(faults), faults=faults[:FAULTS_MAX])


def _fault(found: Mapping[str, Any]) -> dict[str, str]:
    where = _place(found["loc"])
    return {"where": where, "sentence": f"{where}: {found['msg']}", "kind": found["type"]}


def _bad_input(_request: Request | None, error: Exception) -> Response:
    assert isinstance(error, BadInput)
    faults = [{"where": str(f).removesuffix(f.sentence), "kind": "file", **asdict(f)} for f in error.faults]
    sentence = f"{error.total} fault(s) in the files, nothing was changed. First: {error.faults[0]}"
    return problem(UNPROCESSABLE, "BAD_INPUT", sentence, total=error.total, faults=faults)


def _place(parts: Iterable[str | int]) -> str:
    """body.scopes[3].name."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _rejected(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Rejected)
    answer = problem(error.status_code, error.code, error.detail)
    answer.headers.update(error.headers or {})
    return answer


def _known_before(_request: Request, error: Exception) -> Response:
    sentence = f"Another request with Idempotency-Key {error} has just been carried out: ask again for its answer."
    return problem(HTTPStatus.CONFLICT, "KEY_IN_USE", f"{sentence} Nothing was changed by this one.")


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    status = HTTPStatus(error.status_code)
    sentence = str(error.detail)
    if sentence == status.phrase:  # the framework's own: say at least what was asked
        sentence = (
            f"{status.phrase}: {request.method} {request.url.path}. The API is described in /api/v1/openapi.json."
        )
    answer = problem(status, status.name, sentence)
    answer.headers.update(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(_methods(request))
    return answer


def _methods(request: Request) -> list[str]:
    """What the path takes, of all its routes: the framework names those of the first one only."""
    asked = [(method, {**request.scope, "method": method}) for method in METHODS]
    return [m for m, scope in asked if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)]


def _broken(_request: Request | None, _error: Exception) -> Response:
    sentence = "The server failed while answering; what it was doing is in its log."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", sentence)
