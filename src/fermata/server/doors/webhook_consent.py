"""Where the owner of a webhook agrees by hand: Event Grid's validation address, and CloudEvents' callback."""

from http import HTTPStatus

from fastapi import Request, Response

from fermata.domain.ids import SubscriptionId
from fermata.execution.delivering import CONSENT_PATH
from fermata.server.context import context_of
from fermata.server.doors.routing import AnyCaseRoute
from fermata.server.metering import run_in_threadpool
from fermata.services.errors import Refusal
from fermata.services.subscriptions import agree_by_hand

RATE_DIGITS_MAX = 6


async def answer(request: Request) -> Response:
    """Whoever knows the code agrees, once. A rate may stand in the header that the specification names."""
    given = context_of(request)
    allowed = request.headers.get("webhook-allowed-rate", "")
    is_rate = allowed.isascii() and allowed.isdecimal() and len(allowed) <= RATE_DIGITS_MAX
    rate = max(1, int(allowed)) if is_rate else None
    name, code = SubscriptionId(request.path_params["name"]), request.query_params.get("code", "")
    try:
        view = await run_in_threadpool(agree_by_hand, given.db, name, code=code, rate=rate, now=given.now())
    except Refusal as refused:
        return Response(f"{refused.reason.sentence}\n", status_code=HTTPStatus.NOT_FOUND, media_type="text/plain")
    return Response(f"Notices will be sent to {view.id}.\n", media_type="text/plain")


ROUTES = tuple(AnyCaseRoute(CONSENT_PATH + "/{name}", answer, method=method) for method in ("GET", "POST"))
