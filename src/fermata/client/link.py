"""The HTTP link to a server: one request at a time, and what goes wrong with it as a refusal with its code."""

import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from types import MappingProxyType, TracebackType
from typing import Any, NoReturn, Self, TypeVar

import httpx
import orjson

import fermata
from fermata.client.refusals import ServerRefusal
from fermata.domain.reasons import Code, Reason, reason
from fermata.formats.faults import BadInput, Fault
from fermata.server.api.answers import AnswerUnreadable, read_answer
from fermata.server.api.nouns import PREFIX
from fermata.server.api.problems import MEDIA_TYPE, Problem
from fermata.server.api.problems import Fault as ProblemFault
from fermata.server.long_work import MEDIA_TYPE as LINES_TYPE
from fermata.services.errors import Refusal

T = TypeVar("T")
Params = Sequence[tuple[str, str | int | bool]]
Tell = Callable[[Mapping[str, Any]], None]  # how far long work is
Upload = Sequence[tuple[str, tuple[str, bytes]]]  # field, (file name, content)

CONNECT_SECONDS_MAX = 5.0
ANSWER_SECONDS_MAX = 300.0  # an import of 20,000 nodes takes some ten on a slow machine

_UNTOUCHED = "start it with fermata serve, or mend --server; nothing was changed"
_UNCERTAIN = "it may have done what was asked, so look (fermata status, requests or report) before you ask again"


def parse_server(text: str) -> str:
    """The URL without a slash at its end. Raises ValueError, with a sentence, when it is none of a server."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(f"'{text}' is not a URL: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"'{text}' is not the URL of a server; write it like http://127.0.0.1:8321")
    return text.rstrip("/")


_NONE: Mapping[str, str] = MappingProxyType({})


class ServerLink:
    """Answers are read as the values that they were on the server.

    Raises Refusal when there is no answer or none of ours, ServerRefusal and BadInput when that is the answer.
    Proxies of the environment are not asked: most servers listen on loopback. `token` goes with every request.
    """

    def __init__(self, url: str, *, token: str = "", ca_file: str | None = None) -> None:
        self._url = url
        timeout = httpx.Timeout(ANSWER_SECONDS_MAX, connect=CONNECT_SECONDS_MAX)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        verify = ssl.create_default_context(cafile=ca_file) if ca_file else True
        self._client = httpx.Client(
            base_url=url + PREFIX, timeout=timeout, trust_env=False, headers=headers, verify=verify
        )

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

    def put(self, kind: type[T], path: str, body: Mapping[str, Any], params: Params = ()) -> T:
        """Sets."""
        return self._exchange(kind, self._client.build_request("PUT", path, json=body, params=list(params)))

    def delete(self, kind: type[T], path: str, params: Params = ()) -> T:
        """Takes away."""
        return self._exchange(kind, self._client.build_request("DELETE", path, params=list(params)))

    def upload(
        self,
        kind: type[T],
        path: str,
        fields: Mapping[str, str],
        files: Upload,
        *,
        method: str = "POST",
        headers: Mapping[str, str] = _NONE,
    ) -> T:
        """Sends files with a form's fields."""
        request = self._client.build_request(method, path, data=fields, files=files, headers=headers)
        return self._exchange(kind, request)

    def follow(self, kind: type[T], path: str, body: Mapping[str, Any], tell: Tell) -> T:
        """Orders work that takes long, and tells how far it is. The server ends it when we leave meanwhile."""
        request = self._client.build_request("POST", path, json=body)
        with self._reached(request), closing(self._client.send(request, stream=True)) as answer:
            if answer.headers.get("content-type", "").startswith(LINES_TYPE):
                return self._read_lines(kind, answer.iter_lines(), tell)
            answer.read()
            return self._judge(kind, answer)

    def download(self, path: str) -> bytes:
        """A document that is not JSON, by its path from the server's root."""
        answer = self._send(self._client.build_request("GET", self._url + path))
        self._refuse_problem(answer)
        return answer.content

    def listen(self, path: str, silence: float) -> Iterator[tuple[str, Any]]:
        """The events of a stream, by its path from the server's root: the id of each, and what it says. Never ends by
        itself: raises Refusal when the connection breaks, or brings nothing for `silence` seconds.
        """
        timeout = httpx.Timeout(silence, connect=CONNECT_SECONDS_MAX)
        request = self._client.build_request("GET", self._url + path, timeout=timeout)
        with self._reached(request), closing(self._client.send(request, stream=True)) as answer:
            if not answer.is_success:
                answer.read()
                self._refuse_problem(answer)
            name, said = "", b""
            for line in answer.iter_lines():
                if line.startswith("id:"):
                    name = line[3:].strip()
                elif line.startswith("data:"):
                    said = line[5:].strip().encode()
                elif not line and name and said:
                    yield name, self._parse(said)
                    said = b""
        why = "the stream ended"
        raise Refusal(reason(Code.SERVER_UNREACHABLE, url=self._url, why=why, advice=_UNTOUCHED))

    def _parse(self, said: bytes) -> Any:
        try:
            return orjson.loads(said)
        except orjson.JSONDecodeError as error:
            raise Refusal(self._not_understood(str(error))) from error

    def _read_lines(self, kind: type[T], lines: Iterable[str], tell: Tell) -> T:
        for line in lines:
            if not line:
                continue
            try:
                said = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise Refusal(self._not_understood(str(error))) from error
            match said:
                case {"progress": dict(progress)}:
                    tell(progress)
                case {"problem": problem}:
                    _refuse(self._read(Problem, orjson.dumps(problem)))
                case {"answer": answer}:
                    return self._read(kind, orjson.dumps(answer))
                case _:
                    raise Refusal(self._not_understood(f"a line that is none of ours: {line[:80]}"))
        why = "the answer ended before it said what came of the work"
        raise Refusal(reason(Code.SERVER_UNREACHABLE, url=self._url, why=why, advice=_UNCERTAIN))

    def _exchange(self, kind: type[T], request: httpx.Request) -> T:
        return self._judge(kind, self._send(request))

    def _send(self, request: httpx.Request) -> httpx.Response:
        with self._reached(request):
            return self._client.send(request)

    @contextmanager
    def _reached(self, request: httpx.Request) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise self._unreachable(error, _UNTOUCHED) from error
        except httpx.RequestError as error:
            advice = _UNTOUCHED if request.method == "GET" else _UNCERTAIN
            raise self._unreachable(error, advice) from error

    def _judge(self, kind: type[T], answer: httpx.Response) -> T:
        self._refuse_problem(answer)
        return self._read(kind, answer.content)

    def _refuse_problem(self, answer: httpx.Response) -> None:
        if answer.headers.get("content-type", "").startswith(MEDIA_TYPE):
            _refuse(self._read(Problem, answer.content))
        if not answer.is_success:
            raise Refusal(self._not_understood(f"status {answer.status_code}"))

    def _read(self, kind: type[T], content: bytes) -> T:
        try:
            return read_answer(kind, content)
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
    reasons = [(why.code, why.sentence) for why in problem.reasons or ()] or [(problem.code, problem.detail)]
    raise ServerRefusal(reasons, problem.total or len(reasons))


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
