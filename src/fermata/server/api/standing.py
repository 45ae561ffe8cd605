"""Standing plans: which pending updates share which outage when no campaign is on."""

from datetime import UTC
from typing import Annotated

from fastapi import Response
from pydantic import Field

from fermata.domain.ids import ClusterId, NodeId, UpdateId
from fermata.planning.standing.outages import Outage, StandingPlan
from fermata.planning.standing.plan import Terms
from fermata.server.api.bodies import Body, Day, Instant, Name, Seed
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.server.long_work import LINES
from fermata.services import standing

OUTAGES_MAX = 20_000
NAMES_MAX = 20_000

router = open_noun("plans")


class OutageBody(Body):
    """An outage that was told: as in `fermata.standing/1`, with its cluster."""

    cluster: Name
    day: Day
    nodes: Annotated[list[Name], Field(max_length=NAMES_MAX)]
    updates: Annotated[list[Name], Field(max_length=NAMES_MAX)]
    forced_by: Name
    due: Day

    def to_outage(self) -> Outage:
        """As the planner has it."""
        return Outage(
            cluster=ClusterId(self.cluster),
            day=self.day,
            nodes=tuple(NodeId(name) for name in self.nodes),
            updates=tuple(UpdateId(name) for name in self.updates),
            forced_by=UpdateId(self.forced_by),
            due=self.due,
        )


class StandingBody(Body):
    """How far to look ahead, how long an outage may last, and what was told before. `now` null: the server's clock."""

    days: Annotated[int, Field(ge=1, le=standing.DAYS_MOST)] = 365
    now: Instant | None = None
    hours: Annotated[float, Field(ge=1, le=24)] = 8.0
    notice_days: Annotated[int, Field(ge=0, le=standing.DAYS_MOST)] = 30
    seed: Seed = 1
    previous: Annotated[list[OutageBody], Field(max_length=OUTAGES_MAX)] = Field(default_factory=list)


@router.post("/standing", response_class=Response, responses=LINES)
def post_standing(given: Given, body: StandingBody) -> Response:
    """The fewest outages that meet every due date, from the fleet, updates and policy on record. Lines of JSON, the
    last one with the plan as `answer`. Nothing is stored.
    """
    terms = Terms(days=body.days, notice_days=body.notice_days, room_minutes=60 * body.hours, seed=body.seed)
    now = body.now.astimezone(UTC) if body.now else given.now()
    told = [outage.to_outage() for outage in body.previous]
    return given.long_work.stream(
        StandingPlan, lambda _tell: standing.make_standing(given.db, terms, now=now, published=told)
    )
