"""Automations whose triggers are made of triggers remember which of them have fired."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. A database that 0001 has just made has it already."""
    known = {found["name"] for found in sa.inspect(op.get_bind()).get_columns("automation_windows")}
    if "progress" not in known:
        op.add_column("automation_windows", sa.Column("progress", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("automation_windows", "progress")
