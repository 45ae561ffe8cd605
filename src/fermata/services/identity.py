"""Sessions and tokens: what begins, stands for and ends them. The callers show secrets; the store has their hashes.

The secrets are 256 random bits: there is nothing to guess that a slow hash would protect.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from fermata.domain.access import SessionTerms
from fermata.domain.identity import Grant, GrantLevel, Principal
from fermata.domain.identity_codes import IdentityCode
from fermata.domain.reasons import reason
from fermata.domain.sessions import (
    TOKEN_LIFE_MAX,
    TOKEN_PREFIX,
    ApiToken,
    Origin,
    Session,
    beyond,
    covers,
    is_session_good,
    is_sight_due,
    is_token_good,
    is_use_due,
)
from fermata.services.access_keys import AccessKey, NoAccessKeys, access_key_of
from fermata.services.errors import Refusal, refuse_all
from fermata.store import identity, inventory, journal
from fermata.store.database import Database, NotStored

SECRET_BYTES = 32
SECRET_LENGTH_MAX = 200  # of what somebody shows: longer ones are not even hashed
BY_TOKEN, BY_SESSION = "token:", "session:"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """What somebody wants to make."""

    label: str
    grants: frozenset[Grant]
    life: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeToken:
    """A token with its secret, which is told this once. `access_key`: what clients of AWS sign with; None where there
    is none, and `no_access_key` says why.
    """

    token: ApiToken
    secret: str
    access_key: AccessKey | None = None
    no_access_key: str = ""


def hash_secret(secret: str) -> str:
    """What the store knows it by."""
    return sha256(secret.encode()).hexdigest()


def begin_session(
    db: Database,
    name: str,
    groups: Sequence[str],
    *,
    terms: SessionTerms,
    now: datetime,
    origin: Origin | None = None,
) -> str:
    """Somebody has signed in. Returns what the browser shows from now on: always a new one. `origin`: by what the
    provider can end it.
    """
    secret = secrets.token_urlsafe(SECRET_BYTES)
    session = Session(
        id=hash_secret(secret),
        name=name,
        groups=tuple(groups),
        began_at=now,
        seen_at=now,
        ends_at=now + terms.whole,
    )
    with db.begin() as conn:
        identity.save_session(conn, session)
        if origin is not None:
            identity.save_origin(conn, session, origin)
        journal.append(conn, _session_entry("identity.signed_in", session, now))
    return secret


def find_session(db: Database, secret: str, *, terms: SessionTerms, now: datetime, seen: bool) -> Session | None:
    """The session of who shows that, None for nobody's and one that is over. `seen`: a person did something."""
    if len(secret) > SECRET_LENGTH_MAX:
        return None
    with db.read() as conn:
        found = identity.find_session(conn, hash_secret(secret))
    if found is None or not is_session_good(found, terms, now):
        return None
    if seen and is_sight_due(found, terms, now):
        with db.begin() as conn:
            identity.note_seen(conn, found.id, now)
    return found


def end_session(db: Database, secret: str, *, now: datetime) -> Session | None:
    """It is over at once, wherever it was copied to. None when there is none."""
    with db.begin() as conn:
        found = identity.find_session(conn, hash_secret(secret)) if len(secret) <= SECRET_LENGTH_MAX else None
        if found is None:
            return None
        identity.drop_session(conn, found.id)
        journal.append(conn, _session_entry("identity.signed_out", found, now))
        return found


def end_sessions_of(db: Database, origin: Origin, token: str, *, until: datetime, now: datetime) -> int | None:
    """The provider says that somebody left: their sessions are over at once. How many were; None for a word that was
    taken before. `token` names the word, which is remembered until then.
    """
    with db.begin() as conn:
        if not identity.take_logout_token(conn, hash_secret(f"{origin.issuer} {token}"), until=until, now=now):
            return None
        found = identity.sessions_of(conn, origin)
        for session in found:
            identity.drop_session(conn, session.id)
            journal.append(conn, _session_entry("identity.signed_out_by_provider", session, now))
        return len(found)


def make_token(
    db: Database, wanted: NewToken, by: Principal, *, now: datetime, new_id: Callable[[str], str]
) -> MadeToken:
    """Makes a token in the name of who asks. Raises Refusal when it could do more than that one may without breaking
    the glass, or would live too long.
    """
    if by.via.startswith(BY_TOKEN):
        raise Refusal(reason(IdentityCode.TOKEN_BY_TOKEN))
    if not wanted.grants:
        raise Refusal(reason(IdentityCode.TOKEN_WITHOUT_GRANT))
    if not timedelta(days=1) <= wanted.life <= TOKEN_LIFE_MAX:
        days = wanted.life / timedelta(days=1)
        raise Refusal(reason(IdentityCode.TOKEN_LIFE, most=TOKEN_LIFE_MAX.days, days=f"{days:g}"))
    too_much = beyond(by.own, wanted.grants)
    refuse_all([reason(IdentityCode.TOKEN_EXCEEDS, grant=say_grant(grant)) for grant in too_much])
    secret = TOKEN_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    token = ApiToken(
        id=new_id("tok"),
        label=wanted.label,
        owner=by.name,
        grants=wanted.grants,
        created_at=now,
        expires_at=now + wanted.life,
    )
    access_key, no_access_key = None, ""
    try:
        access_key = access_key_of(db, token.id)
    except NoAccessKeys as why:
        no_access_key = f"It has no access key for clients of AWS: {why}."
    with db.begin() as conn:
        identity.save_token(conn, token, hash_secret(secret))
        journal.append(conn, _token_entry("identity.token_made", token, by, now))
    return MadeToken(token=token, secret=secret, access_key=access_key, no_access_key=no_access_key)


def find_token(db: Database, secret: str, *, now: datetime) -> ApiToken | None:
    """The token of who shows that, None for nobody's, one that has expired and one that was revoked."""
    if len(secret) > SECRET_LENGTH_MAX:
        return None
    with db.read() as conn:
        found = identity.find_token(conn, hash_secret(secret))
    if found is None or not is_token_good(found, now):
        return None
    note_use(db, found, now=now)
    return found


def note_use(db: Database, token: ApiToken, *, now: datetime) -> None:
    """Somebody came with it, or with its access key: written down every few minutes at most."""
    if is_use_due(token, now):
        with db.begin() as conn:
            identity.note_used(conn, token.id, now)


def list_tokens(db: Database, by: Principal) -> Sequence[ApiToken]:
    """Who asks sees its own, and those that can do no more than itself."""
    with db.read() as conn:
        return [token for token in identity.list_tokens(conn) if _may_know(by, token)]


def revoke_token(db: Database, token: str, by: Principal, *, now: datetime) -> ApiToken:
    """It is good for nothing from now on. Raises Refusal for one that who asks may not know of."""
    with db.begin() as conn:
        found = next((each for each in identity.list_tokens(conn) if each.id == token and _may_know(by, each)), None)
        if found is None:
            raise Refusal(reason(IdentityCode.TOKEN_UNKNOWN, token=token))
        if found.revoked_at is None:
            identity.revoke(conn, found.id, now)
            journal.append(conn, _token_entry("identity.token_revoked", found, by, now))
        return next(each for each in identity.list_tokens(conn) if each.id == token)


def first_approver(db: Database) -> tuple[str, str] | None:
    """The first customer by name that has one, and who speaks for it: somebody of it stands among those of a demo."""
    with db.read() as conn:
        try:
            customers = inventory.load_policy(conn).customers
        except NotStored:
            return None
    return min(((name, policy.approvers[0]) for name, policy in customers.items() if policy.approvers), default=None)


def say_grant(grant: Grant) -> str:
    """As the command line takes it: `approver:customer=acme`, or the role alone."""
    return grant.role.value if grant.level is GrantLevel.EVERYTHING else f"{grant.role}:{grant.level}={grant.name}"


def _may_know(by: Principal, token: ApiToken) -> bool:
    return token.owner == by.name or all(covers(by.grants, grant) for grant in token.grants)


def _session_entry(event: str, session: Session, now: datetime) -> journal.Entry:
    return journal.Entry(at=now, actor=session.name, event=event, subject=f"person:{session.name}", why="", data={})


def _token_entry(event: str, token: ApiToken, by: Principal, now: datetime) -> journal.Entry:
    data = {
        "label": token.label,
        "owner": token.owner,
        "grants": sorted(say_grant(grant) for grant in token.grants),
        "expires_at": token.expires_at.isoformat(),
    }
    return journal.Entry(at=now, actor=by.name, event=event, subject=f"token:{token.id}", why="", data=data)
