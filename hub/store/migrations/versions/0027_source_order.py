"""Runs in the order in which what starts them came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

COLUMNS = (
    ("sources", sa.Column("order_by", sa.Text(), nullable=False, server_default="")),
    ("sources", sa.Column("order_no", sa.BigInteger(), nullable=False, server_default="0")),
    ("automation_actions", sa.Column("lane", sa.Text(), nullable=True)),
    ("automation_actions", sa.Column("place", sa.BigInteger(), nullable=False, server_default="0")),
)
INDEXES = (
    ("ix_automation_actions_lane", ("lane", "place"), "lane IS NOT NULL"),
    ("ix_automation_actions_heads", ("lane",), "lane IS NOT NULL AND status <> 'waiting'"),
)


def upgrade() -> None:
    """Add columns and indexes. A database that 0001 has just made has them already."""
    inspector = sa.inspect(op.get_bind())
    known = {table: {found["name"] for found in inspector.get_columns(table)} for table, _ in COLUMNS}
    for table, column in COLUMNS:
        if column.name not in known[table]:
            op.add_column(table, column)
    there = {found["name"] for found in inspector.get_indexes("automation_actions")}
    for name, columns, where in INDEXES:
        if name not in there:
            op.create_index(
                name, "automation_actions", list(columns), sqlite_where=sa.text(where), postgresql_where=sa.text(where)
            )


def downgrade() -> None:
    """Remove them."""
    for name, _, _ in INDEXES:
        op.drop_index(name, "automation_actions")
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column.name)
