"""From which task on a run does again what another run did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. A database that 0001 has just made has it."""
    if "restart_from" not in {found["name"] for found in sa.inspect(op.get_bind()).get_columns("runs")}:
        op.add_column("runs", sa.Column("restart_from", sa.String(36), nullable=True))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("runs", "restart_from")
