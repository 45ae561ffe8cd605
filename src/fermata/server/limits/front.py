"""The middleware that counts: how often, how much and how many at once, by who calls."""

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fermata.domain.identity import LOCAL
from fermata.server.errors import Rejected
from fermata.server.limits.again import Again
from fermata.server.limits.bounds import BOUNDS, SAFE_METHODS, Bounds, Kind, kind_of, waits_for_news
from fermata.server.limits.rates import Buckets, caller_of
from fermata.server.limits.refusals import LimitCode, OverLimit, answer_to
from fermata.server.limits.rooms import Rooms
from fermata.server.limits.shape import is_judged, judge_body
from fermata.server.limits.turns import Work, open_fair_play
from fermata.server.metering import counted_by, run_in_threadpool
from fermata.server.principals import find_principal
from fermata.services.lanes import asked_by

FULL_SECONDS = 5.0  # until work of others is likely to be over
KINDS = {
    Kind.READ: "reads",
    Kind.CHANGE: "changes",
    Kind.COSTLY: "requests that cost much, such as queries, plans and imports",
    Kind.STREAM: "streams of the board",
}


class Limits:
    """ASGI middleware. Whoever finds out who calls stands before it, and names the caller in the scope."""

    def __init__(self, app: ASGIApp, *, bounds: Bounds = BOUNDS, again: Again | None = None) -> None:
        self.app = app
        self._again = again or Again(bounds)
        self._bounds = bounds
        self._rates = {kind: Buckets(rate, callers_max=bounds.callers_max) for kind, rate in bounds.rates.items()}
        self._rooms = {kind: Rooms(room) for kind, room in bounds.rooms.items()}
        self._sent = Buckets(bounds.body, callers_max=bounds.callers_max)
        self._work = Buckets(bounds.work, callers_max=bounds.callers_max)
        self._fair = open_fair_play(bounds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        caller, kind = caller_of(scope), kind_of(scope["method"], scope["path"])
        is_counted = find_principal(scope) is not LOCAL  # this machine's own people share one name, and are trusted
        try:
            _judge_head(Headers(scope=scope))
            if is_counted:
                self._admit(caller, kind)
        except OverLimit as over:
            await self._say_no(over, scope, receive, send)
            return
        if not is_counted:
            await self._pass(("", None), scope, receive, send)
            return
        room = self._rooms[kind]
        room.take(caller)
        work = Work(caller, self._fair, self._bounds, is_free=waits_for_news(scope["path"]))
        try:
            with asked_by(caller), counted_by(work.meter):
                await self._pass((caller, work), scope, receive, self._timed(caller, kind, work, send))
        finally:
            work.end()
            room.give_back(caller)

    async def _pass(self, by: tuple[str, Work | None], scope: Scope, receive: Receive, send: Send) -> None:
        """What is raised while a body is read gets its answer here, where no handler gave it one. `by`: a caller and
        its work, "" and None for one that is not counted.
        """
        is_begun = False
        _, work = by

        async def send_on(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        media_type = Headers(scope=scope).get("content-type", "")
        try:
            if work is not None and scope["method"] in SAFE_METHODS:
                await work.begin()
            await self.app(scope, self._reading(by, media_type, receive), send_on)
        except Rejected as rejected:
            if is_begun:
                raise
            await self._say_no(rejected, scope, receive, send)

    async def _say_no(self, refused: Rejected, scope: Scope, receive: Receive, send: Send) -> None:
        """Who is to slow down waits for its answer, and is told the same again for a moment."""
        if isinstance(refused, OverLimit) and refused.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self._again.note(scope, refused)
            await asyncio.sleep(self._again.count_pause(scope))
        await answer_to(refused)(scope, receive, send)

    def _timed(self, caller: str, kind: Kind, work: Work, send: Send) -> Send:
        """Work is over, and costly work charged by the clock, when an answer begins: what is told from then on is told
        as it comes.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                work.end()
                if kind is Kind.COSTLY:
                    took = min(loop.time() - began, self._bounds.work_seconds_max)
                    self._work.charge(caller, loop.time(), took)
            await send(message)

        return send_on

    def _admit(self, caller: str, kind: Kind) -> None:
        """Raises OverLimit."""
        room, rate = self._rooms[kind], self._bounds.rates[kind]
        if not room.has_place(caller):
            sentence = (
                f"At most {self._bounds.rooms[kind].each} {KINDS[kind]} of one caller are answered at the same time:"
                " wait for the answers to those that are under way."
            )
            raise OverLimit(LimitCode.TOO_MANY_AT_ONCE, sentence, after=1)
        now = asyncio.get_running_loop().time()
        after = self._rates[kind].take(caller, now)
        if after is not None:
            sentence = (
                f"One caller may make {rate.burst:g} {KINDS[kind]} in one go and {rate.a_second:g} a second from then"
                " on: ask less often. Nothing was changed."
            )
            raise OverLimit(LimitCode.TOO_MANY_REQUESTS, sentence, after=after)
        after = self._work.owes(caller, now) if kind is Kind.COSTLY else None
        if after is not None:
            work = self._bounds.work
            sentence = (
                f"Answers to one caller's {KINDS[kind]} may take {work.burst:g} seconds in one go and {work.a_second:g}"
                " a second from then on: ask for less, or less often. Nothing was changed."
            )
            raise OverLimit(LimitCode.TOO_MUCH_WORK, sentence, after=after)
        if room.is_full:
            sentence = (
                f"The server answers as many {KINDS[kind]} as it can: ask again in a moment. Nothing was changed."
            )
            raise OverLimit(LimitCode.SERVER_FULL, sentence, after=FULL_SECONDS)

    def _reading(self, by: tuple[str, Work | None], media_type: str, receive: Receive) -> Receive:
        """The body as it comes in, counted, and judged before its last part is handed on: then work on it begins."""
        caller, work = by
        parts = list[bytes]()
        is_kept = is_judged(media_type)

        async def receive_some() -> Message:
            message = await receive()
            if message["type"] != "http.request":
                return message
            body = message.get("body", b"")
            if body and caller:
                self._count(caller, len(body))
            is_last = not message.get("more_body", False)
            if is_last and work is not None:
                await work.begin()
            if is_kept:
                parts.append(body)
                if is_last:
                    await self._judge(b"".join(parts), media_type)
                    parts.clear()
            return message

        return receive_some

    async def _judge(self, body: bytes, media_type: str) -> None:
        """Raises OverLimit. What takes long is done by a thread, so that others are answered meanwhile."""
        if len(body) > self._bounds.judged_at_once:
            await run_in_threadpool(judge_body, body, media_type, self._bounds)
        else:
            judge_body(body, media_type, self._bounds)

    def _count(self, caller: str, size: int) -> None:
        after = self._sent.take(caller, asyncio.get_running_loop().time(), size)
        if after is not None:
            burst, a_second = self._bounds.body.burst / 2**20, self._bounds.body.a_second / 2**20
            sentence = f"One caller may send {burst:g} MiB in one go and {a_second:g} MiB a second from then on: wait."
            raise OverLimit(LimitCode.TOO_MUCH_SENT, sentence, after=after)


def _judge_head(headers: Headers) -> None:
    """Raises OverLimit."""
    encoding = headers.get("content-encoding", "identity")
    if encoding.strip().lower() != "identity":
        sentence = "A body is read as it is: send it without Content-Encoding. Nothing was changed."
        raise OverLimit(LimitCode.BODY_ENCODED, sentence)
