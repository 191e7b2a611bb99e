"""Sources whose messages come from a broker."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text, inspect

from hub.store.tables import SourceConsumer

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TABLE = SourceConsumer.__table__


def upgrade() -> None:
    """Add them. A database that 0001 has just made has them already."""
    if "connection" not in {column["name"] for column in inspect(op.get_bind()).get_columns("sources")}:
        op.add_column("sources", Column("connection", Text(), nullable=True))
    TABLE.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Remove them."""
    TABLE.drop(op.get_bind(), checkfirst=True)
    op.drop_column("sources", "connection")
