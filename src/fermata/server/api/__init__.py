"""The JSON API under /api/v1, a router per noun. Handlers are plain functions: FastAPI runs them in worker threads."""

from fastapi import APIRouter

from fermata.server.api import (
    consent,
    freezes,
    imports,
    inventory,
    journal,
    plans,
    policy,
    query,
    report,
    requests,
    runs,
    standing,
    why,
)
from fermata.server.api.problems import RESPONSES

PREFIX = "/api/v1"

router = APIRouter(prefix=PREFIX, responses=RESPONSES)
for noun in (
    imports,
    inventory,
    requests,
    policy,
    consent,
    freezes,
    plans,
    standing,
    why,
    runs,
    journal,
    report,
    query,
):
    router.include_router(noun.router)
