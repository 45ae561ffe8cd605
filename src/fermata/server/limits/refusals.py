"""How a limit says no: a code, a sentence that says what to do, and when to come again."""

from enum import StrEnum
from http import HTTPStatus

from fastapi import Response

from fermata.server.errors import MEDIA_TYPE, TOO_LARGE, Rejected, problem

TARGET_TOO_LONG = 414  # http.HTTPStatus calls it by one name up to Python 3.12 and by another from 3.13 on


class LimitCode(StrEnum):
    """Stable names, listed in docs/limits.md."""

    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    TOO_MANY_AT_ONCE = "TOO_MANY_AT_ONCE"
    TOO_MANY_STRANGERS = "TOO_MANY_STRANGERS"
    TOO_MUCH_WORK = "TOO_MUCH_WORK"
    TOO_MUCH_SENT = "TOO_MUCH_SENT"
    TOO_MANY_CONNECTIONS = "TOO_MANY_CONNECTIONS"
    SERVER_FULL = "SERVER_FULL"
    BODY_ENCODED = "BODY_ENCODED"
    BODY_TOO_DEEP = "BODY_TOO_DEEP"
    BODY_TOO_MANY_VALUES = "BODY_TOO_MANY_VALUES"
    HEADERS_TOO_LARGE = "HEADERS_TOO_LARGE"
    ADDRESS_TOO_LONG = "ADDRESS_TOO_LONG"
    REQUEST_TOO_SLOW = "REQUEST_TOO_SLOW"
    REQUEST_UNREADABLE = "REQUEST_UNREADABLE"


STATUSES = {
    LimitCode.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    LimitCode.TOO_MANY_AT_ONCE: HTTPStatus.TOO_MANY_REQUESTS,
    LimitCode.TOO_MANY_STRANGERS: HTTPStatus.TOO_MANY_REQUESTS,
    LimitCode.TOO_MUCH_WORK: HTTPStatus.TOO_MANY_REQUESTS,
    LimitCode.TOO_MUCH_SENT: HTTPStatus.TOO_MANY_REQUESTS,
    LimitCode.TOO_MANY_CONNECTIONS: HTTPStatus.TOO_MANY_REQUESTS,
    LimitCode.SERVER_FULL: HTTPStatus.SERVICE_UNAVAILABLE,  # nothing that this caller did
    LimitCode.BODY_ENCODED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    LimitCode.BODY_TOO_DEEP: HTTPStatus.BAD_REQUEST,
    LimitCode.BODY_TOO_MANY_VALUES: TOO_LARGE,
    LimitCode.HEADERS_TOO_LARGE: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    LimitCode.ADDRESS_TOO_LONG: TARGET_TOO_LONG,
    LimitCode.REQUEST_TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    LimitCode.REQUEST_UNREADABLE: HTTPStatus.BAD_REQUEST,
}


class OverLimit(Rejected):
    """A limit is reached; `after`: seconds until there may be room again, None where waiting does not help."""

    def __init__(self, code: LimitCode, sentence: str, *, after: float | None = None) -> None:
        super().__init__(STATUSES[code], sentence, None if after is None else {"Retry-After": str(_whole(after))})
        self.code = code


def answer_to(refused: Rejected) -> Response:
    """The problem document, for refusals that no handler of the framework sees."""
    answer = problem(refused.status_code, refused.code, refused.detail)
    answer.headers.update(refused.headers or {})
    return answer


def bytes_of(refused: OverLimit) -> bytes:
    """The whole answer as it goes over a connection that is closed after it."""
    answer = answer_to(refused)
    status = HTTPStatus(refused.status_code)
    head = [f"HTTP/1.1 {status.value} {status.phrase}", "connection: close", f"content-type: {MEDIA_TYPE}"]
    head += [f"{name}: {value}" for name, value in answer.headers.items() if name != "content-type"]
    head.append("x-content-type-options: nosniff")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + bytes(answer.body)


def _whole(seconds: float) -> int:
    return max(1, int(seconds + 0.999))
