"""What operators want of nodes, a window, a run or the fleet, and the brake."""

from contextlib import nullcontext
from typing import Annotated

from fastapi import status
from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from fermata.domain.ids import CampaignId, NodeId, WindowId
from fermata.domain.intents import Intent
from fermata.domain.run_states import Desired
from fermata.server.api.bodies import NAME_MAX, Body, Name, Text
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.services import intents
from fermata.services.intents import BrakeShown, Wanted

NODES_MAX = 20_000

router = open_noun("runs")


class WhyBody(Body):
    """Who orders it, and why."""

    actor: Name
    why: Text


_NODES: JsonDict = {"properties": {"nodes": {"type": "array", "minItems": 1}}, "required": ["nodes"]}
_WINDOW: JsonDict = {"properties": {"window": {"type": "string"}}, "required": ["window"]}
_FLEET: JsonDict = {"properties": {"fleet": {"const": True}}, "required": ["fleet"]}
_ONE_SCOPE: JsonDict = {
    "not": {"anyOf": [{"allOf": [_NODES, _WINDOW]}, {"allOf": [_NODES, _FLEET]}, {"allOf": [_WINDOW, _FLEET]}]}
}


class IntentBody(WhyBody):
    """What is wanted of some nodes, of a window, of the fleet, or, where none of these is named, of a run."""

    model_config = ConfigDict(json_schema_extra=_ONE_SCOPE)

    desired: Annotated[Desired, Field(strict=False)]
    nodes: Annotated[list[Name], Field(default_factory=list, max_length=NODES_MAX)]
    window: Name | None = None
    campaign: Annotated[str | None, Field(max_length=NAME_MAX)] = None
    fleet: bool = False

    @model_validator(mode="after")
    def _one_scope(self) -> "IntentBody":
        if sum((bool(self.nodes), self.window is not None, self.fleet)) > 1:
            raise ValueError("name nodes, a window or the fleet: one of them")
        return self


@router.get("/intents")
def get_intents(given: Given) -> tuple[Intent, ...]:
    """The words in force: of each scope the newest, where it is not `run`."""
    return intents.in_force(given.db).words


@router.post("/intents", status_code=status.HTTP_201_CREATED)
def post_intent(given: Given, body: IntentBody) -> tuple[Intent, ...]:
    """Pauses, resumes, stops or aborts. A word on the fleet that ends runs is recorded of each live run as well."""
    wanted = Wanted(
        nodes=tuple(NodeId(name) for name in body.nodes),
        window=WindowId(body.window) if body.window else None,
        campaign=CampaignId(body.campaign) if body.campaign else None,
        fleet=body.fleet,
    )
    return intents.say(given.db, wanted, body.desired, now=given.now(), actor=body.actor, why=body.why)


@router.get("/brake")
def get_brake(given: Given) -> BrakeShown:
    """Whether the brake is on, by the file of the server's machine or by the store's row."""
    return intents.show_brake(given.db, given.brake)


@router.post("/brake/on")
def post_brake_on(given: Given, body: WhyBody) -> BrakeShown:
    """Nothing new begins anywhere; what runs is let end. Works on the server's machine whatever the store does."""
    return intents.pull_brake(
        lambda: nullcontext(given.db), given.brake, now=given.now(), actor=body.actor, why=body.why
    )


@router.post("/brake/off")
def post_brake_off(given: Given, body: WhyBody) -> BrakeShown:
    """Releases the brake of the server's machine, and the row."""
    return intents.release_brake(given.db, given.brake, now=given.now(), actor=body.actor, why=body.why)
