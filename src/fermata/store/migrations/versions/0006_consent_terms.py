"""What a word of consent says beside yes and no: parts, conditions, until when, which counter-offer it answers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Adds the column; a word that says nothing more has none."""
    op.add_column("consent_entry", sa.Column("terms", JSON, nullable=True))
