"""The JSON API under /api/v1, a router per noun. Handlers are plain functions: FastAPI runs them in worker threads."""

from fastapi import APIRouter

from fermata.server.api import (
    board,
    break_glass,
    calendars,
    capacity,
    consent,
    forecasts,
    freezes,
    gates,
    imports,
    intents,
    inventory,
    journal,
    notices,
    offers,
    plans,
    policy,
    query,
    readmission,
    recovery,
    report,
    requests,
    rooms,
    runs,
    standing,
    tail,
    tokens,
    updates,
    why,
)
from fermata.server.api.problems import RESPONSES

PREFIX = "/api/v1"

router = APIRouter(prefix=PREFIX, responses=RESPONSES)
NOUNS = (
    imports,
    inventory,
    updates,
    requests,
    policy,
    consent,
    offers,
    freezes,
    plans,
    calendars,
    standing,
    why,
    board,
    runs,
    rooms,
    readmission,
    forecasts,
    gates,
    intents,
    recovery,
    capacity,
    tail,
    journal,
    report,
    query,
    notices,
    tokens,
    break_glass,
)
for noun in NOUNS:
    router.include_router(noun.router)
