"""Idempotency-Key: a change that is sent twice, because its answer was lost, is carried out once.

As in the IETF draft `draft-ietf-httpapi-idempotency-key-header`. The key is stored by the transaction that does the
work (`store/once.py`): it is on record if and only if the work was done. A refused request leaves none.
"""

import hashlib
import logging
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fermata.server.context import Context
from fermata.server.errors import UNPROCESSABLE, answer_to, problem
from fermata.server.long_work import MEDIA_TYPE as LINES_TYPE
from fermata.services.board import Database, StoreUnavailable
from fermata.services.once import Kept, Key, find_kept, keep_answer, under_key

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY_MAX = 255
ANSWER_BYTES_MAX = 16 * 1024 * 1024  # 20,000 approvals with their outcomes are 8 MB
CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_log = logging.getLogger("fermata.api")


class Once:
    """ASGI middleware for changes under `prefix` that carry a key; all others pass."""

    def __init__(self, app: ASGIApp, *, context: Context, prefix: str) -> None:
        self.app = app
        self.context = context
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in CHANGES or not scope["path"].startswith(self.prefix):
            await self.app(scope, receive, send)
            return
        name = Headers(scope=scope).get(HEADER)
        if name is None:
            await self.app(scope, receive, send)
        elif not 1 <= len(name) <= KEY_MAX or not (name.isascii() and name.isprintable()):
            sentence = f"{HEADER} holds 1 to {KEY_MAX} printable ASCII characters, a UUID for example."
            await problem(HTTPStatus.BAD_REQUEST, "KEY_UNREADABLE", sentence)(scope, receive, send)
        else:
            await self._once(name, scope, receive, send)

    async def _once(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        if body is None:
            return
        key = Key(key=name, asked_sha256=_fingerprint(scope, body), at=self.context.now())
        try:
            kept = await run_in_threadpool(find_kept, self.context.db, name)
        except StoreUnavailable as error:
            await answer_to(error)(scope, receive, send)
            return
        if kept is not None:
            await _repeat(kept, key)(scope, receive, send)
            return
        with under_key(key):
            await self.app(scope, _replay(body, receive), _Answer(self.context.db, key, send).send)


class _Answer:
    """Passes an answer on, and keeps what can be given again before its end is sent: a repetition comes later."""

    def __init__(self, db: Database, key: Key, send: Send) -> None:
        self._db = db
        self._key = key
        self._send = send
        self._status = 0
        self._media_type = ""
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._media_type = Headers(raw=message["headers"]).get("content-type", "")
        elif len(self._body) <= ANSWER_BYTES_MAX and not self._media_type.startswith(LINES_TYPE):
            self._body += message.get("body", b"")
            is_whole = not message.get("more_body", False) and len(self._body) <= ANSWER_BYTES_MAX
            if is_whole and self._key.is_done:
                await run_in_threadpool(self._keep)
        await self._send(message)

    def _keep(self) -> None:
        try:
            keep_answer(self._db, self._key, status=self._status, media_type=self._media_type, body=bytes(self._body))
        except StoreUnavailable as error:  # the work is done and answered: only a repetition will miss it
            _log.warning("once.answer_not_kept", exc_info=error)


async def _read(receive: Receive) -> bytes | None:
    """The whole body, which the guard bounds; None when the other end has left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    is_given = False

    async def give() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


def _fingerprint(scope: Scope, body: bytes) -> str:
    asked = (scope["method"].encode(), scope["path"].encode(), scope["query_string"], body)
    return hashlib.sha256(b"\0".join(asked)).hexdigest()


def _repeat(kept: Kept, key: Key) -> Response:
    if kept.asked_sha256 != key.asked_sha256:
        sentence = f"{HEADER} {key.key} was used for another request: use a new one. Nothing was changed."
        return problem(UNPROCESSABLE, "KEY_REUSED", sentence)
    if kept.status is None or kept.body is None:
        sentence = (
            f"The request with {HEADER} {key.key} was carried out before, and its answer was not kept:"
            " read what it changed. Nothing was changed now."
        )
        return problem(HTTPStatus.CONFLICT, "ANSWER_NOT_KEPT", sentence)
    return Response(kept.body, status_code=kept.status, media_type=kept.media_type, headers={REPLAYED: "true"})
