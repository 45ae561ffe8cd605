"""Exemptions name work orders and kinds of them too; maintenance plans that clients put are kept."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
JSON_OR_NULL = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Adds the columns and the table. An exemption on record names updates alone, so it has neither."""
    op.add_column("freeze_exemption", sa.Column("orders", JSON_OR_NULL, nullable=True))
    op.add_column("freeze_exemption", sa.Column("kinds", JSON_OR_NULL, nullable=True))
    op.create_table(
        "maintenance_plan",
        sa.Column("path", sa.String(), primary_key=True),
        sa.Column("body", JSON, nullable=False),
    )
