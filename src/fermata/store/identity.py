"""Rows of sessions and of tokens: hashes of what their holders show, never that itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Index, Row, String, Table, delete, insert, select, update

from fermata.domain.identity import Grant, GrantLevel, Role
from fermata.domain.sessions import ApiToken, Origin, Session
from fermata.store.schema import Json, UtcTime, metadata

sign_in = Table(
    "sign_in",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("groups", Json, nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False, index=True),
)

sign_in_origin = Table(
    "sign_in_origin",
    metadata,
    Column("session", String, primary_key=True),
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("sid", String, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Index("ix_sign_in_origin_subject", "issuer", "subject"),
    Index("ix_sign_in_origin_sid", "issuer", "sid"),
)

logout_token = Table(
    "logout_token",
    metadata,
    Column("id", String, primary_key=True),
    Column("until", UtcTime, nullable=False),
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", String, primary_key=True),
    Column("secret_sha256", String, nullable=False, unique=True),
    Column("label", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("grants", Json, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime, nullable=True),
    Column("revoked_at", UtcTime, nullable=True),
)


def save_session(conn: Connection, session: Session) -> None:
    """Adds one, and forgets those that are over."""
    conn.execute(delete(sign_in).where(sign_in.c.ends_at <= session.began_at))
    values = {
        "id": session.id,
        "name": session.name,
        "groups": list(session.groups),
        "began_at": session.began_at,
        "seen_at": session.seen_at,
        "ends_at": session.ends_at,
    }
    conn.execute(insert(sign_in).values(values))


def find_session(conn: Connection, session: str) -> Session | None:
    """The one of that id."""
    row = conn.execute(select(sign_in).where(sign_in.c.id == session)).one_or_none()
    if row is None:
        return None
    return Session(
        id=row.id,
        name=row.name,
        groups=tuple(row.groups),
        began_at=row.began_at,
        seen_at=row.seen_at,
        ends_at=row.ends_at,
    )


def save_origin(conn: Connection, session: Session, origin: Origin) -> None:
    """Whence a session came; forgets those of sessions that are over."""
    conn.execute(delete(sign_in_origin).where(sign_in_origin.c.ends_at <= session.began_at))
    values = {"issuer": origin.issuer, "subject": origin.subject, "sid": origin.sid, "ends_at": session.ends_at}
    conn.execute(insert(sign_in_origin).values(session=session.id, **values))


def sessions_of(conn: Connection, origin: Origin) -> Sequence[Session]:
    """Those that came of it: of its session at the provider where it names one, else of all of its subject's."""
    asked = sign_in_origin.c.issuer == origin.issuer
    if origin.sid:
        asked &= sign_in_origin.c.sid == origin.sid
    if origin.subject:
        asked &= sign_in_origin.c.subject == origin.subject
    names = conn.execute(select(sign_in_origin.c.session).where(asked).order_by(sign_in_origin.c.session)).scalars()
    found = [find_session(conn, name) for name in names]
    return [session for session in found if session is not None]


def take_logout_token(conn: Connection, token: str, *, until: datetime, now: datetime) -> bool:
    """True the first time; it is remembered until then. Forgets those that are over."""
    conn.execute(delete(logout_token).where(logout_token.c.until <= now))
    if conn.execute(select(logout_token.c.id).where(logout_token.c.id == token)).one_or_none() is not None:
        return False
    conn.execute(insert(logout_token).values(id=token, until=until))
    return True


def note_seen(conn: Connection, session: str, at: datetime) -> None:
    """It was seen then."""
    conn.execute(update(sign_in).where(sign_in.c.id == session).values(seen_at=at))


def drop_session(conn: Connection, session: str) -> bool:
    """False when there was none."""
    return conn.execute(delete(sign_in).where(sign_in.c.id == session)).rowcount > 0


def save_token(conn: Connection, token: ApiToken, secret_sha256: str) -> None:
    """Adds one."""
    values = {
        "id": token.id,
        "secret_sha256": secret_sha256,
        "label": token.label,
        "owner": token.owner,
        "grants": [[grant.role.value, grant.level.value, grant.name] for grant in sorted(token.grants)],
        "created_at": token.created_at,
        "expires_at": token.expires_at,
    }
    conn.execute(insert(api_token).values(values))


def find_token(conn: Connection, secret_sha256: str) -> ApiToken | None:
    """Whose secret has that hash, whether it is still good or not."""
    row = conn.execute(select(api_token).where(api_token.c.secret_sha256 == secret_sha256)).one_or_none()
    return None if row is None else _token(row)


def find_token_of_id(conn: Connection, token: str) -> ApiToken | None:
    """The one of that id, whether it is still good or not."""
    row = conn.execute(select(api_token).where(api_token.c.id == token)).one_or_none()
    return None if row is None else _token(row)


def list_tokens(conn: Connection) -> Sequence[ApiToken]:
    """All, by when they were made."""
    return [_token(row) for row in conn.execute(select(api_token).order_by(api_token.c.created_at, api_token.c.id))]


def note_used(conn: Connection, token: str, at: datetime) -> None:
    """It was used then."""
    conn.execute(update(api_token).where(api_token.c.id == token).values(used_at=at))


def revoke(conn: Connection, token: str, at: datetime) -> None:
    """It is good for nothing from then on."""
    conn.execute(update(api_token).where(api_token.c.id == token).values(revoked_at=at))


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id,
        label=row.label,
        owner=row.owner,
        grants=frozenset(
            Grant(role=Role(role), level=GrantLevel(level), name=name) for role, level, name in row.grants
        ),
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        revoked_at=row.revoked_at,
    )
