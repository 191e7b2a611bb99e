"""An index by which people find runs by their names."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

INDEX = "ix_runs_ws_name"


def upgrade() -> None:
    """Make it. A database that 0001 has just made has it."""
    op.create_index(INDEX, "runs", ["workspace_id", "name", "id"], if_not_exists=True)


def downgrade() -> None:
    """Drop it."""
    op.drop_index(INDEX, "runs", if_exists=True)
