"""What may leave for a plane: set for each link and each flow; what left stands with the event and with the replica."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

COLUMNS: tuple[tuple[str, sa.Column[Any]], ...] = (
    ("events", sa.Column("more", sa.Text(), nullable=True)),
    ("links", sa.Column("level_since", sa.BigInteger(), nullable=False, server_default="0")),
    ("runs", sa.Column("export", sa.Text(), nullable=False, server_default="")),
    ("runs", sa.Column("result_secret", sa.Boolean(), nullable=False, server_default=sa.false())),
    ("deployments", sa.Column("export", sa.Text(), nullable=False, server_default="")),
    ("plane_runs", sa.Column("more", sa.Text(), nullable=False, server_default="{}")),
)


def upgrade() -> None:
    """Make the columns. A database that 0001 has just made has them."""
    for table, column in COLUMNS:
        if column.name not in {found["name"] for found in sa.inspect(op.get_bind()).get_columns(table)}:
            op.add_column(table, column)


def downgrade() -> None:
    """Take them away."""
    for table, column in COLUMNS:
        op.drop_column(table, str(column.name))
