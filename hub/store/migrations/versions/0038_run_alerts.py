"""Runs and deployments say which alerts they raise, and who gets them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

TABLES = ("runs", "deployments")


def upgrade() -> None:
    """Make the columns. A database that 0001 has just made has them."""
    bind = op.get_bind()
    for table in TABLES:
        if "alerts" not in {found["name"] for found in sa.inspect(bind).get_columns(table)}:
            op.add_column(table, sa.Column("alerts", sa.Text(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Take them away."""
    for table in TABLES:
        op.drop_column(table, "alerts")
