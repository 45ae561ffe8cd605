"""Tokens with which programs call in somebody's name. A secret is told once, to who makes it."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Response, status
from pydantic import BaseModel, Field, model_validator

from fermata.domain.identity import Grant, GrantLevel, PrincipalKind, Role
from fermata.domain.sessions import TOKEN_LIFE, TOKEN_LIFE_MAX, ApiToken
from fermata.server.api.bodies import Body, Name
from fermata.server.api.nouns import open_noun
from fermata.server.context import Given
from fermata.server.principals import Caller
from fermata.services import identity

GRANTS_MAX = 200

router = open_noun("tokens")


class GrantBody(Body):
    """A role on a part of the fleet; without a name, on everything."""

    role: Annotated[Role, Field(strict=False)]
    level: Annotated[GrantLevel, Field(strict=False)] = GrantLevel.EVERYTHING
    name: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def check(self) -> "GrantBody":
        """Everything has no name, a part has one."""
        if (self.level is GrantLevel.EVERYTHING) != (not self.name):
            raise ValueError("a grant names a part of the fleet, or is for everything")
        return self

    def to_grant(self) -> Grant:
        """The value."""
        return Grant(role=self.role, level=self.level, name=self.name)


class TokenBody(Body):
    """`label` says what it is for. It is good for nothing after `days`."""

    label: Name
    grants: Annotated[list[GrantBody], Field(min_length=1, max_length=GRANTS_MAX)]
    days: Annotated[int, Field(ge=1, le=TOKEN_LIFE_MAX.days)] = TOKEN_LIFE.days


class TokenLine(BaseModel):
    """A token without its secret. `owner` is the actor of what it orders. `used_at`: to a few minutes."""

    id: str
    label: str
    owner: str
    grants: list[GrantBody]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class AccessKeyLine(BaseModel):
    """What clients of AWS sign with."""

    id: str
    secret: str


class NewTokenLine(TokenLine):
    """With its secret, this once. `access_key`: for clients of AWS, which sign; null where there is none, and
    `no_access_key` says why.
    """

    secret: str
    access_key: AccessKeyLine | None = None
    no_access_key: str = ""


class CallerLine(BaseModel):
    """Whom the server takes a caller for. `via` names the session or token, "" without."""

    name: str
    kind: PrincipalKind
    grants: list[GrantBody]
    via: str


@router.get("/whoami")
def get_caller(caller: Caller) -> CallerLine:
    """Who is asking."""
    return CallerLine(name=caller.name, kind=caller.kind, grants=_grants(caller.grants), via=caller.via)


@router.get("/tokens")
def get_tokens(given: Given, caller: Caller) -> list[TokenLine]:
    """The caller's own, and those that can do no more than the caller."""
    return [TokenLine(**_fields(token)) for token in identity.list_tokens(given.identity.db, caller)]


@router.post("/tokens", status_code=status.HTTP_201_CREATED)
def post_token(given: Given, caller: Caller, body: TokenBody, response: Response) -> NewTokenLine:
    """Makes one in the caller's name, for part of what the caller may do. Ask once: no answer is given again."""
    wanted = identity.NewToken(
        label=body.label,
        grants=frozenset(grant.to_grant() for grant in body.grants),
        life=timedelta(days=body.days),
    )
    made = identity.make_token(given.identity.db, wanted, caller, now=given.identity.now(), new_id=given.new_id)
    response.headers["Cache-Control"] = "no-store"
    pair = made.access_key
    return NewTokenLine(
        **_fields(made.token),
        secret=made.secret,
        access_key=None if pair is None else AccessKeyLine(id=pair.id, secret=pair.secret),
        no_access_key=made.no_access_key,
    )


@router.delete("/tokens/{token_id}")
def delete_token(given: Given, caller: Caller, token_id: str) -> TokenLine:
    """It is good for nothing from now on; answers with it as it stands."""
    return TokenLine(**_fields(identity.revoke_token(given.identity.db, token_id, caller, now=given.identity.now())))


def _fields(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "label": token.label,
        "owner": token.owner,
        "grants": _grants(token.grants),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "used_at": token.used_at,
        "revoked_at": token.revoked_at,
    }


def _grants(grants: frozenset[Grant]) -> list[GrantBody]:
    return [GrantBody(role=grant.role, level=grant.level, name=grant.name) for grant in sorted(grants)]
