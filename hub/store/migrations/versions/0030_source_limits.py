"""Where requests of a source may come from, how much of them is kept, what is answered; receipts that failed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

FAILED, WHERE = "ix_receipts_ws_failed", "error IS NOT NULL"
COLUMNS = (
    sa.Column("keep_bytes", sa.BigInteger(), nullable=False, server_default="0"),
    sa.Column("allow_from", sa.Text(), nullable=False, server_default="[]"),
    sa.Column("answer", sa.Text(), nullable=True),
)


def upgrade() -> None:
    """Add columns and an index. A database that 0001 has just made has them already."""
    inspector = sa.inspect(op.get_bind())
    known = {found["name"] for found in inspector.get_columns("sources")}
    for column in COLUMNS:
        if column.name not in known:
            op.add_column("sources", column)
    if FAILED not in {found["name"] for found in inspector.get_indexes("receipts")}:
        where = sa.text(WHERE)
        op.create_index(FAILED, "receipts", ["workspace_id", "id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Remove them."""
    op.drop_index(FAILED, "receipts")
    for column in reversed(COLUMNS):
        op.drop_column("sources", column.name)
