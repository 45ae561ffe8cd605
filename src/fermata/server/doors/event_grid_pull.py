"""Event Grid's pull delivery of namespace topics, for its consumer client: notices as CloudEvents."""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fermata.domain.ids import SubscriptionId
from fermata.server.context import Context, context_of
from fermata.server.doors.routing import AnyCaseRoute
from fermata.server.metering import run_in_threadpool
from fermata.services import pull
from fermata.services.pull import Caller, Settled, UnknownPull

PREFIX = "/topics/{topic}/eventsubscriptions/{name}"
WAIT_SECONDS_MAX = 120
LOOK_SECONDS = 0.5
LOCKS_MAX = 1000
DELAYS = frozenset({0, 10, 60, 600, 3600})
SCHEME = "sharedaccesskey"


class LocksBody(BaseModel):
    """Receipts of what was fetched."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    locks: Annotated[list[str], Field(alias="lockTokens", min_length=1, max_length=LOCKS_MAX)]


class Numbers(BaseModel):
    """What stands in the query. Others are passed over."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    events: Annotated[int, Field(alias="maxEvents", ge=1, le=pull.EVENTS_MAX)] = 1
    wait: Annotated[int, Field(alias="maxWaitTime", ge=0, le=WAIT_SECONDS_MAX)] = 60
    delay: Annotated[int, Field(alias="releaseDelayInSeconds")] = 0


async def post_receive(request: Request) -> Response:
    """What waits; nothing yet: as soon as something does, within the time that the client is willing to wait."""
    try:
        asked = Numbers.model_validate(dict(request.query_params))
    except ValidationError as error:
        return _error(HTTPStatus.BAD_REQUEST, "BadRequest", _first(error))
    given, caller = context_of(request), _caller(request)
    until = time.monotonic() + asked.wait
    while True:
        try:
            found = await run_in_threadpool(_receive, given, caller, asked.events)
        except UnknownPull:
            return _unauthorized()
        if found or time.monotonic() >= until or await request.is_disconnected():
            break
        await asyncio.sleep(LOOK_SECONDS)
    details = [
        {"brokerProperties": {"lockToken": each.lock, "deliveryCount": each.count}, "event": each.event}
        for each in found
    ]
    return _reply(HTTPStatus.OK, {"value": details})


async def post_acknowledge(request: Request) -> Response:
    """They were delivered."""
    return await _settle(
        request, lambda given, caller, locks, _: pull.acknowledge(given.db, caller, locks, now=given.now())
    )


async def post_reject(request: Request) -> Response:
    """They are of no use."""
    return await _settle(request, lambda given, caller, locks, _: pull.reject(given.db, caller, locks, now=given.now()))


async def post_release(request: Request) -> Response:
    """They are to come again."""
    return await _settle(
        request,
        lambda given, caller, locks, delay: pull.release(
            given.db, caller, locks, after=timedelta(seconds=delay), now=given.now()
        ),
    )


async def post_renew(request: Request) -> Response:
    """They are still being worked on."""
    return await _settle(request, lambda given, caller, locks, _: pull.renew(given.db, caller, locks, now=given.now()))


def _receive(given: Context, caller: Caller, events_max: int) -> Sequence[pull.Fetched]:
    return pull.receive(given.db, caller, events_max, now=given.now(), new_id=given.new_id)


async def _settle(request: Request, verb: Callable[[Context, Caller, Sequence[str], int], Settled]) -> Response:
    try:
        asked = Numbers.model_validate(dict(request.query_params))
        body = LocksBody.model_validate_json(await request.body())
    except ValidationError as error:
        return _error(HTTPStatus.BAD_REQUEST, "BadRequest", _first(error))
    if asked.delay not in DELAYS:
        sentence = f"releaseDelayInSeconds is one of {', '.join(str(delay) for delay in sorted(DELAYS))}."
        return _error(HTTPStatus.BAD_REQUEST, "BadRequest", sentence)
    try:
        settled = await run_in_threadpool(verb, context_of(request), _caller(request), body.locks, asked.delay)
    except UnknownPull:
        return _unauthorized()
    failed = [{"lockToken": lock, "error": _LOST} for lock in settled.failed]
    return _reply(HTTPStatus.OK, {"failedLockTokens": failed, "succeededLockTokens": list(settled.succeeded)})


_LOST = {"code": "TokenLost", "message": "The lock token is unknown, or its lock is over."}


def _caller(request: Request) -> Caller:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return Caller(
        topic=request.path_params["topic"],
        name=SubscriptionId(request.path_params["name"]),
        key=key.strip() if scheme.lower() == SCHEME else "",
    )


def _unauthorized() -> Response:
    sentence = "There is no such topic and event subscription, or the key is not its own."
    return _error(HTTPStatus.UNAUTHORIZED, "Unauthorized", sentence)


def _error(status: int, code: str, sentence: str) -> Response:
    return _reply(status, {"error": {"code": code, "message": sentence}})


def _reply(status: int, body: Any) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), status_code=status, media_type="application/json", headers=headers)


def _first(error: ValidationError) -> str:
    found = error.errors()[0]
    return f"{'.'.join(str(part) for part in found['loc']) or 'body'}: {found['msg']}"


ROUTES = (
    AnyCaseRoute(f"{PREFIX}:receive", post_receive, method="POST"),
    AnyCaseRoute(f"{PREFIX}:acknowledge", post_acknowledge, method="POST"),
    AnyCaseRoute(f"{PREFIX}:reject", post_reject, method="POST"),
    AnyCaseRoute(f"{PREFIX}:release", post_release, method="POST"),
    AnyCaseRoute(f"{PREFIX}:renewLock", post_renew, method="POST"),
)
