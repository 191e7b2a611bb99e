"""Without indexes that nothing asks: what belongs to a run is removed with its run, not by its own age.

Each cost a task a part of its commit.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UNUSED = (
    ("ix_task_runs_ended", "task_runs", ["ended_at"]),
    ("ix_states_at", "states", ["at"]),
    ("ix_logs_at", "logs", ["at"]),
)


def upgrade() -> None:
    """Drop them. A database that 0001 has just made never had them."""
    for name, table, _columns in UNUSED:
        op.drop_index(name, table, if_exists=True)


def downgrade() -> None:
    """Put them back."""
    for name, table, columns in UNUSED:
        op.create_index(name, table, columns, if_not_exists=True)
