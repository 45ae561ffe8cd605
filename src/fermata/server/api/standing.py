"""Standing plans: which pending updates share which outage when no campaign is on."""

from datetime import UTC, date
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from fermata.domain.ids import ClusterId, NodeId, UpdateId
from fermata.planning.standing.outages import Outage, StandingPlan
from fermata.planning.standing.plan import Terms
from fermata.server.context import Given
from fermata.server.long_work import LINES
from fermata.services import standing

NAME_MAX = 200
OUTAGES_MAX = 20_000
NAMES_MAX = 20_000

router = APIRouter(tags=["plans"])

Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX)]


class OutageBody(BaseModel):
    """An outage that was told: as in `fermata.standing/1`, with its cluster."""

    model_config = ConfigDict(extra="forbid")

    cluster: Name
    day: date
    nodes: Annotated[list[Name], Field(max_length=NAMES_MAX)]
    updates: Annotated[list[Name], Field(max_length=NAMES_MAX)]
    forced_by: Name
    due: date

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


class StandingBody(BaseModel):
    """How far to look ahead, how long an outage may last, and what was told before. `now` null: the server's clock."""

    model_config = ConfigDict(extra="forbid")

    days: Annotated[int, Field(ge=1, le=standing.DAYS_MOST)] = 365
    now: AwareDatetime | None = None
    hours: Annotated[float, Field(ge=1, le=24)] = 8.0
    notice_days: Annotated[int, Field(ge=0, le=standing.DAYS_MOST)] = 30
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
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
