"""Runs and task runs say what kind of failure they ended with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = ("runs", "task_runs")


def upgrade() -> None:
    """Make the columns. A database that 0001 has just made has them."""
    bind = op.get_bind()
    for table in TABLES:
        if "error_class" not in {found["name"] for found in sa.inspect(bind).get_columns(table)}:
            op.add_column(table, sa.Column("error_class", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take them away."""
    for table in TABLES:
        op.drop_column(table, "error_class")
