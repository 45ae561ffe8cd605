"""Each line of the journal carries the hash of itself and of the line before; lines that were there get theirs now."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0033"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
PAGE = 10_000
LINES = sa.table(
    "journal",
    sa.column("seq", sa.BigInteger()),
    sa.column("at", sa.DateTime(timezone=True)),
    sa.column("actor", sa.String()),
    sa.column("event", sa.String()),
    sa.column("subject", sa.String()),
    sa.column("why", sa.Text()),
    sa.column("data", JSON),
    sa.column("hash", sa.LargeBinary()),
)
WHOLE_FLOAT = re.compile(rb"\d(?:\.0[,\]}]|e)")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def upgrade() -> None:
    """Adds the column and fills it: a minute for some millions of lines."""
    op.add_column("journal", sa.Column("hash", sa.LargeBinary(), nullable=True))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(
        "DROP TRIGGER journal_no_update" if is_sqlite else "ALTER TABLE journal DISABLE TRIGGER journal_append_only"
    )
    chain_lines()
    op.execute(
        "CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal"
        " BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END"
        if is_sqlite
        else "ALTER TABLE journal ENABLE TRIGGER journal_append_only"
    )


def chain_lines() -> None:
    """Gives every line its hash, oldest first."""
    bind = op.get_bind()
    saving = sa.update(LINES).where(LINES.c.seq == sa.bindparam("line")).values(hash=sa.bindparam("carried"))
    after, previous = 0, bytes(32)
    while True:
        asked = sa.select(LINES).where(LINES.c.seq > after).order_by(LINES.c.seq).limit(PAGE)
        rows = bind.execute(asked).all()
        if not rows:
            return
        found = []
        for row in rows:
            at = row.at.replace(tzinfo=UTC) if row.at.tzinfo is None else row.at
            ticks = (at - EPOCH) // timedelta(microseconds=1)
            head = orjson.dumps((row.seq, ticks, row.actor, row.event, row.subject, row.why))
            previous = hashlib.sha256(b"%b%b\n%b" % (previous, head, facts(row.data))).digest()
            found.append({"line": row.seq, "carried": previous})
        bind.execute(saving, found)
        after = rows[-1].seq


def facts(data: object) -> bytes:
    """As one text, whichever database gave it."""
    told = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    if WHOLE_FLOAT.search(told):
        told = orjson.dumps(settled(data), option=orjson.OPT_SORT_KEYS)
    return told


def settled(value: object) -> object:
    """Numbers that are whole as whole numbers."""
    if isinstance(value, float) and value.is_integer() and -(2**63) <= value < 2**64:
        return int(Decimal(repr(value)))
    if isinstance(value, dict):
        return {key: settled(part) for key, part in value.items()}
    return [settled(part) for part in value] if isinstance(value, list) else value
