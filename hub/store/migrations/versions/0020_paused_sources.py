"""Sources that hold what comes in."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, inspect

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the time since when a source is paused. A database that 0001 has just made has it."""
    if "paused_at" not in {column["name"] for column in inspect(op.get_bind()).get_columns("sources")}:
        op.add_column("sources", Column("paused_at", BigInteger, nullable=True))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("sources", "paused_at")
