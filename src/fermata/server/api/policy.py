"""Trying a policy."""

from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Query

from fermata.domain.policy_trial import Trial
from fermata.server.api.bodies import NAME_MAX, Instant
from fermata.server.context import Given
from fermata.services import policy

router = APIRouter(tags=["consent"])

Name = Annotated[str, Query(min_length=1, max_length=NAME_MAX)]


@router.get("/policy/test")
def get_policy_test(given: Given, node: Name, update: Name, at: Instant | None = None) -> Trial:
    """What would happen to `update` on `node` at that time (now, if none is named), which rule decides, and why.
    Nothing is done.
    """
    return policy.try_update(given.db, node, update, at=at.astimezone(UTC) if at else given.now())
