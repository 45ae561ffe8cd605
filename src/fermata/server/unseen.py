"""Changes by who sees a part of the fleet. They are decided over all rows, and so a name out of sight is taken for one
that nothing has before they are, and what they answer names nothing that is out of sight.
"""

import html
import re
import secrets
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fermata.domain.identity import EVERYTHING, Sight
from fermata.domain.phrases import Phrases
from fermata.server.errors import UNPROCESSABLE, problem
from fermata.server.metering import run_in_threadpool
from fermata.server.part_changes import changes_part
from fermata.server.principals import find_principal
from fermata.server.said import URLENCODED
from fermata.server.whole_body import read_all, replay

OTHERS = "(others)"
NOT_READ = "The body is neither JSON nor a form: send what the API's description names. Nothing was changed."
_NAME = re.compile(r"[\w.\-]*\w")
_APART = re.compile(r"([/=&?;:,])")  # between names in paths, forms and ids of resources
Foreign = Callable[[Sight, frozenset[str]], frozenset[str]]
ByPhrase = Mapping[str, bool]


class NotRead(Exception):
    """A body that could name anything: nobody here can tell what."""


class Unseen:
    """ASGI middleware, the innermost. `foreign` says which of some names are out of a sight, `phrases` of every name
    that is no single word whether it is.
    """

    def __init__(self, app: ASGIApp, *, foreign: Foreign, phrases: Callable[[Sight], ByPhrase]) -> None:
        self.app = app
        self._foreign = foreign
        self._phrases = phrases

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = find_principal(scope) if scope["type"] == "http" else None
        if caller is None or caller.sees == EVERYTHING or not _changes(scope):
            await self.app(scope, receive, send)
            return
        veil = Veil(partial(self._foreign, caller.sees), partial(self._phrases, caller.sees))
        sent = await read_all(receive)
        if sent is None:  # the other end has left: half of a change is none
            return
        try:
            covered, body = await run_in_threadpool(_cover, veil, scope, sent)
        except NotRead:
            await problem(UNPROCESSABLE, "BAD_INPUT", NOT_READ)(scope, receive, send)
            return
        await self.app(covered, replay(body, receive), _Answer(send, veil).send)


def _cover(veil: "Veil", scope: Scope, sent: bytes) -> tuple[Scope, bytes]:
    body = veil.cover(sent, Headers(scope=scope).get("content-type", ""))
    path, query = veil.cover_text(scope["path"]), veil.cover_query(scope["query_string"])
    return {**scope, "path": path, "raw_path": quote(path).encode(), "query_string": query}, body


def _changes(scope: Scope) -> bool:
    try:
        return changes_part(scope)
    except HTTPException:
        return False  # refused where it is answered


class Veil:
    """Stands before names out of sight, which `foreign` finds among some, and `phrases` knows where a name is no single
    word. `given`: what each one that the caller named is called meanwhile. Reads the store: not for the thread of the
    event loop.
    """

    def __init__(
        self, foreign: Callable[[frozenset[str]], frozenset[str]], phrases: Callable[[], ByPhrase] = dict
    ) -> None:
        self._foreign = foreign
        self._read_phrases = phrases
        self._asked: frozenset[str] = frozenset()
        self._names: frozenset[str] = frozenset()
        self._given: dict[str, str] = {}

    def _learn(self, words: Iterable[str]) -> None:
        fresh = frozenset(words) - self._asked
        if fresh:
            self._asked |= fresh
            self._names |= self._foreign(fresh)

    def cover(self, body: bytes, media_type: str) -> bytes:
        """What was sent, where names out of sight are names of nothing; text that only speaks of them stays. JSON is
        JSON whatever it is called: some doors read it so. Raises NotRead for what is neither that nor a form.
        """
        if not body:
            return body
        kind = media_type.partition(";")[0].strip().lower()
        try:
            value = orjson.loads(body.removeprefix(BOM_UTF8))
        except orjson.JSONDecodeError as error:
            if kind != URLENCODED:
                raise NotRead from error
            return "&".join(map(self._cover_field, body.decode("utf-8", "replace").split("&"))).encode()
        self._learn(part for text in _texts(value) for part in (text, *_APART.split(text)))
        return orjson.dumps(_each(value, self.cover_text))

    def cover_query(self, query: bytes) -> bytes:
        """The same pairs, whatever stands in a value."""
        return "&".join(map(self._cover_field, query.decode("latin-1").split("&"))).encode("latin-1")

    def _cover_field(self, field: str) -> str:
        name, apart, value = field.partition("=")
        return f"{self._cover_part(name)}{apart}{self._cover_part(value)}"

    def _cover_part(self, part: str) -> str:
        plain = unquote_plus(part)
        covered = self.cover_text(plain)
        return part if covered == plain else quote_plus(covered)

    def cover_text(self, text: str) -> str:
        """A value that is a name, or names apart by signs as in a path."""
        parts = _APART.split(text)
        self._learn((text, *parts))
        if text in self._names:  # with such a sign in it
            return self._cover_name(text)
        return "".join(self._cover_name(part) for part in parts)

    def _cover_name(self, name: str) -> str:
        if name not in self._names:
            return name
        if name not in self._given:
            self._given[name] = f"x{secrets.token_hex(8)}"
        return self._given[name]

    @cached_property
    def _phrases(self) -> tuple[Phrases, Mapping[str, str]]:
        """Those that are no single word as an answer may spell them, and what stands in place of others'."""
        spelled = {each: others for name, others in self._read_phrases().items() for each in _spellings(name)}
        return Phrases(spelled), {each: OTHERS for each, others in spelled.items() if others}

    def uncover(self, body: bytes, media_type: str) -> bytes:
        """What is answered, with the caller's own names again, and others' left out."""
        if media_type.startswith("application/json") or "+json" in media_type:
            if not body:
                return body
            value = orjson.loads(body)
            self._learn(name for text in _texts(value) for name in _NAME.findall(text))
            return orjson.dumps(_each(value, self._clear))
        return self._clear(body.decode("utf-8", "replace")).encode()

    def _clear(self, text: str) -> str:
        phrases, instead = self._phrases
        shown = phrases.replace(text, instead)
        self._learn(_NAME.findall(shown))
        shown = _NAME.sub(lambda found: OTHERS if found[0] in self._names else found[0], shown)
        for name, meanwhile in self._given.items():
            shown = shown.replace(meanwhile, name)
        return shown


class _Answer:
    """Holds an answer back until it is whole."""

    def __init__(self, send: Send, veil: Veil) -> None:
        self._send = send
        self._veil = veil
        self._start: Message = {}
        self._body = bytearray()

    def _uncover(self, headers: MutableHeaders) -> bytes:
        for name in ("location", "azure-asyncoperation"):
            if name in headers:
                headers[name] = self._veil.uncover(headers[name].encode(), "").decode()
        return self._veil.uncover(bytes(self._body), headers.get("content-type", ""))

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        headers = MutableHeaders(raw=list(self._start["headers"]))
        shown = await run_in_threadpool(self._uncover, headers)
        headers["content-length"] = str(len(shown))
        await self._send({**self._start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": shown, "more_body": False})


def _spellings(name: str) -> frozenset[str]:
    """A name as texts, pages and addresses have it."""
    marked = html.escape(name).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    return frozenset({name, html.escape(name), marked, quote(name), quote(name, safe=""), quote_plus(name)})


def _texts(value: Any) -> list[str]:
    """Every text of some JSON, names of fields included."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    _each(value, note)
    return found


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each(part, change) for part in value]
    if isinstance(value, Mapping):
        return {change(key): _each(part, change) for key, part in value.items()}
    return value
