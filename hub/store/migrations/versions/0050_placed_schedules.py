"""Schedules of a plane may have their runs made at a site."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


_TABLE = "schedules"


def upgrade() -> None:
    """Make the column. A database that 0001 has just made has it."""
    if "place" not in {found["name"] for found in sa.inspect(op.get_bind()).get_columns(_TABLE)}:
        op.add_column(_TABLE, sa.Column("place", sa.Text(), nullable=True))


def downgrade() -> None:
    """Take it away."""
    op.drop_column(_TABLE, "place")
