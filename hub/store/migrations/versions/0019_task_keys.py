"""Task runs without the unique index over their journal keys, the only one that is not written in order of time."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

COLUMNS = ["run_id", "journal_key"]
CONVENTION = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
UNNAMED = "uq_task_runs_run_id"
"""What the convention calls it on SQLite, where it has no name and the table is made anew."""


def upgrade() -> None:
    """Drop it. A database that 0001 has just made never had it."""
    for unique in inspect(op.get_bind()).get_unique_constraints("task_runs"):
        if unique["column_names"] == COLUMNS:
            with op.batch_alter_table("task_runs", naming_convention=CONVENTION) as table:
                table.drop_constraint(unique["name"] or UNNAMED, type_="unique")


def downgrade() -> None:
    """Put it back."""
    with op.batch_alter_table("task_runs") as table:
        table.create_unique_constraint("task_runs_run_id_journal_key_key", COLUMNS)
