"""Results in stores: who else reads them, and what may go."""

from __future__ import annotations

from alembic import op

from hub.store.tables import ResultGarbage, ResultUse

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = (ResultUse, ResultGarbage)


def upgrade() -> None:
    """Make them. A database that 0001 has just made has them."""
    for table in TABLES:
        table.__table__.create(op.get_bind(), checkfirst=True)
    op.create_index("ix_cache_task_run", "cache_entries", ["task_run_id"], if_not_exists=True)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_cache_task_run", "cache_entries", if_exists=True)
    for table in TABLES:
        table.__table__.drop(op.get_bind(), checkfirst=True)
