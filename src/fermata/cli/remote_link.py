"""The HTTP link to a server: one request at a time, and what goes wrong with it as a refusal with its code."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import httpx

import fermata
from fermata.domain.reasons import Code, Reason, reason
from fermata.formats.faults import BadInput, Fault
from fermata.server.api import PREFIX
from fermata.server.api.answers import AnswerUnreadable, read_answer
from fermata.server.api.problems import MEDIA_TYPE, Problem
from fermata.server.api.problems import Fault as ProblemFault
from fermata.services.errors import Refusal

T = TypeVar("T")
Params = Sequence[tuple[str, str | int | bool]]
Upload = Sequence[tuple[str, tuple[str, bytes]]]  # field, (file name, content)

CONNECT_SECONDS_MAX = 5.0
ANSWER_SECONDS_MAX = 300.0  # an import of 20,000 nodes takes some ten on a slow machine

_UNTOUCHED = "start it with fermata serve, or mend --server; nothing was changed"
_UNCERTAIN = "it may have done what was asked, so look (fermata status, requests or report) before you ask again"


class ServerRefusal(Exception):
    """The server said no, with codes that this version need not know. `total` counts reasons beyond those given."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.code}: {problem.detail}")
        given = [(why.code, why.sentence) for why in problem.reasons or ()]
        self.reasons = tuple(given) or ((problem.code, problem.detail),)
        self.total = problem.total or len(self.reasons)


def parse_server(text: str) -> str:
    """The URL without a slash at its end. Raises ValueError, with a sentence, when it is none of a server."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"'{text}' is not a URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"'{text}' is not the URL of a server; write it like http://127.0.0.1:8321")
    return text.rstrip("/")


class ServerLink:
    """Answers are read as the values that they were on the server.

    Raises Refusal when there is no answer or none of ours, ServerRefusal and BadInput when that is the answer.
    Proxies of the environment are not asked: the server listens on loopback.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        timeout = httpx.Timeout(ANSWER_SECONDS_MAX, connect=CONNECT_SECONDS_MAX)
        self._client = httpx.Client(base_url=url + PREFIX, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, kind: type[T], path: str, params: Params = ()) -> T:
        """Reads."""
        return self._exchange(kind, self._client.build_request("GET", path, params=list(params)))

    def post(self, kind: type[T], path: str, body: Mapping[str, Any], params: Params = ()) -> T:
        """Changes."""
        return self._exchange(kind, self._client.build_request("POST", path, json=body, params=list(params)))

    def delete(self, kind: type[T], path: str, params: Params = ()) -> T:
        """Takes away."""
        return self._exchange(kind, self._client.build_request("DELETE", path, params=list(params)))

    def upload(self, kind: type[T], path: str, fields: Mapping[str, str], files: Upload) -> T:
        """Sends files with a form's fields."""
        return self._exchange(kind, self._client.build_request("POST", path, data=fields, files=files))

    def _exchange(self, kind: type[T], request: httpx.Request) -> T:
        try:
            answer = self._client.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise self._unreachable(error, _UNTOUCHED) from error
        except httpx.RequestError as error:
            advice = _UNTOUCHED if request.method == "GET" else _UNCERTAIN
            raise self._unreachable(error, advice) from error
        if answer.headers.get("content-type", "").startswith(MEDIA_TYPE):
            _refuse(self._read(Problem, answer))
        if not answer.is_success:
            raise Refusal(self._not_understood(f"status {answer.status_code}"))
        return self._read(kind, answer)

    def _read(self, kind: type[T], answer: httpx.Response) -> T:
        try:
            return read_answer(kind, answer.content)
        except AnswerUnreadable as error:
            raise Refusal(self._not_understood(str(error))) from error

    def _unreachable(self, error: httpx.RequestError, advice: str) -> Refusal:
        why = str(error) or type(error).__name__
        return Refusal(reason(Code.SERVER_UNREACHABLE, url=self._url, why=why, advice=advice))

    def _not_understood(self, why: str) -> Reason:
        return reason(Code.SERVER_NOT_UNDERSTOOD, url=self._url, version=fermata.__version__, why=why)


def _refuse(problem: Problem) -> NoReturn:
    if problem.faults:
        faults = tuple(_fault(fault) for fault in problem.faults)
        raise BadInput(faults, problem.total or len(faults))
    raise ServerRefusal(problem)


def _fault(fault: ProblemFault) -> Fault:
    if fault.file is None:
        sentence = fault.sentence.removeprefix(f"{fault.where}: ")
        return Fault(file="request", line=None, column=None, field=fault.where, sentence=sentence)
    return Fault(
        file=fault.file,
        line=fault.line,
        column=fault.column,
        field=fault.field,
        sentence=fault.sentence,
        suggestion=fault.suggestion,
    )
