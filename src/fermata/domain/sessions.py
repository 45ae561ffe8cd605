"""Whether a session or a token is still good, and what may be handed on: decided from values alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fermata.domain.access import SessionTerms
from fermata.domain.identity import Grant, GrantLevel

SEEN_EVERY = timedelta(minutes=1)  # a session's last sign of life is written so often at most
USED_EVERY = timedelta(minutes=5)  # a token's last use, likewise
TOKEN_LIFE_MAX = timedelta(days=366)  # a year and a day: renewing once a year has some room
TOKEN_LIFE = timedelta(days=90)
TOKEN_PREFIX = "fmt_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who signed in. `id` is the hash of what the browser holds. `groups` are those of that moment."""

    id: str
    name: str
    groups: tuple[str, ...]
    began_at: datetime
    seen_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which sign-in at the provider a session came of: `subject` is whom it means by that, `sid` the provider's own
    session, "" where it names none. Of a word that ends sessions, one of the two may be "".
    """

    issuer: str
    subject: str
    sid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token without its secret. `owner` is who made it, and the actor of what it orders."""

    id: str
    label: str
    owner: str
    grants: frozenset[Grant]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    revoked_at: datetime | None = None


def is_session_good(session: Session, terms: SessionTerms, now: datetime) -> bool:
    """False once it was idle for too long or is over. A session never outlives the terms that are in force now."""
    ends = min(session.ends_at, session.began_at + terms.whole)
    return now < ends and now < session.seen_at + terms.idle


def is_sight_due(session: Session, terms: SessionTerms, now: datetime) -> bool:
    """Whether that it was seen is worth writing down."""
    return now - session.seen_at >= min(SEEN_EVERY, terms.idle / 10)


def is_token_good(token: ApiToken, now: datetime) -> bool:
    """False once it has expired or was revoked."""
    return token.revoked_at is None and now < token.expires_at


def is_use_due(token: ApiToken, now: datetime) -> bool:
    """Whether its use is worth writing down."""
    return token.used_at is None or now - token.used_at >= USED_EVERY


def covers(held: Iterable[Grant], wanted: Grant) -> bool:
    """Whether who holds those grants may hand this one on: the same role, for the same part or for everything."""
    return any(
        grant.role is wanted.role
        and (grant.level is GrantLevel.EVERYTHING or (grant.level, grant.name) == (wanted.level, wanted.name))
        for grant in held
    )


def beyond(held: Iterable[Grant], wanted: Iterable[Grant]) -> tuple[Grant, ...]:
    """Those that cannot be handed on, in order."""
    holding = frozenset(held)
    return tuple(sorted(grant for grant in frozenset(wanted) if not covers(holding, grant)))
