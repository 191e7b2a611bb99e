"""What sources do not want kept, and what receipts leave out."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text, inspect

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both lists of places. A database that 0001 has just made has them."""
    bind = inspect(op.get_bind())
    if "redact" not in {column["name"] for column in bind.get_columns("sources")}:
        op.add_column("sources", Column("redact", Text, nullable=False, server_default="[]"))
    if "redacted" not in {column["name"] for column in bind.get_columns("receipts")}:
        op.add_column("receipts", Column("redacted", Text, nullable=True))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("receipts", "redacted")
    op.drop_column("sources", "redact")
