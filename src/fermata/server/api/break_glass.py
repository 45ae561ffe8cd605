"""Taking a role for a while in an emergency, and who has taken one."""

from typing import Annotated

from fastapi import status
from pydantic import Field, model_validator

from fermata.domain.break_glass import MINUTES_MOST
from fermata.domain.identity import Grant, GrantLevel, PrincipalKind, Role
from fermata.domain.ids import BreakGlassId
from fermata.server.api.bodies import NAME_MAX, TEXT_MAX, Body
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.server.principals import Caller
from fermata.services import emergencies
from fermata.services.emergencies import BreakGlass, Taking

router = open_noun("access", "/break-glass")


class BreakGlassBody(Body):
    """Which role, on which part of the fleet (`name` is "" for everything), for how long, and why."""

    role: Annotated[Role, Field(strict=False)]
    level: Annotated[GrantLevel, Field(strict=False)] = GrantLevel.EVERYTHING
    name: Annotated[str, Field(max_length=NAME_MAX)] = ""
    minutes: Annotated[int, Field(ge=1, le=MINUTES_MOST)]
    why: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)]

    @model_validator(mode="after")
    def _named(self) -> "BreakGlassBody":
        if (self.level is GrantLevel.EVERYTHING) != (not self.name):
            raise ValueError("everything has no name, and anything else has one")
        return self

    def to_grant(self) -> Grant:
        """What is taken."""
        return Grant(role=self.role, level=self.level, name=self.name)


class GiveBackBody(Body):
    """Nothing more is said."""


@router.get("")
def get_broken(given: Given, caller: Caller, over: bool = False) -> list[BreakGlass]:
    """Roles that are taken now, those first that are over first; or all that ever were. Who sees a part of
    the fleet is told of their own, and of what was taken there.
    """
    every = emergencies.list_broken(given.identity.db, now=given.now(), over=over)
    return list(emergencies.shown_to(every, caller))


@router.post("", status_code=status.HTTP_201_CREATED)
def post_break(given: Given, caller: Caller, body: BreakGlassBody) -> BreakGlass:
    """Takes a role that was laid down for the caller. Everybody is told, and it is over by itself."""
    wanted = Taking(grant=body.to_grant(), minutes=body.minutes, why=body.why)
    return emergencies.break_glass(given.db, caller, wanted, now=given.now(), new_id=given.new_id)


@router.post("/{name}/end")
def post_end(given: Given, caller: Caller, name: str, _body: GiveBackBody) -> BreakGlass:
    """Gives one of the caller's own back before its time."""
    actor = None if caller.kind is PrincipalKind.LOCAL else caller.name
    return emergencies.give_back(given.identity.db, BreakGlassId(name), now=given.now(), actor=actor, who=caller.name)
