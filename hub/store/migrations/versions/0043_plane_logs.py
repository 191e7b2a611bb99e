"""Log lines go to planes: how far each link has come, and a plane's copy."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from hub.store.tables import PlaneLog

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

COLUMNS: tuple[tuple[str, sa.Column[Any]], ...] = (
    ("links", sa.Column("log_epoch", sa.Text(), nullable=False, server_default="")),
    ("links", sa.Column("log_cursor", sa.BigInteger(), nullable=False, server_default="0")),
    ("links", sa.Column("log_start", sa.BigInteger(), nullable=False, server_default="0")),
    ("links", sa.Column("log_gap", sa.Text(), nullable=True)),
    ("plane_sites", sa.Column("log_epoch", sa.Text(), nullable=False, server_default="")),
    ("plane_sites", sa.Column("log_acked", sa.BigInteger(), nullable=False, server_default="0")),
)


def upgrade() -> None:
    """Make the table and the columns. A database that 0001 has just made has them."""
    bind = op.get_bind()
    PlaneLog.__table__.create(bind, checkfirst=True)
    for table, column in COLUMNS:
        if column.name not in {found["name"] for found in sa.inspect(bind).get_columns(table)}:
            op.add_column(table, column)


def downgrade() -> None:
    """Take them away."""
    for table, column in COLUMNS:
        op.drop_column(table, str(column.name))
    PlaneLog.__table__.drop(op.get_bind())
