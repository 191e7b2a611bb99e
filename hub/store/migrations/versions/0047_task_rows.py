"""A task run's row is kept in the index of its id: one page less for SQLite to write for each task."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Copy the table of a SQLite file. A database that 0001 has just made has it so."""
    _kept(with_rowid=False)


def downgrade() -> None:
    """Copy it back."""
    _kept(with_rowid=True)


def _kept(*, with_rowid: bool) -> None:
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        return
    made: str = bind.scalar(sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'task_runs'"))
    if made.rstrip().upper().endswith("WITHOUT ROWID") is with_rowid:
        with op.batch_alter_table("task_runs", recreate="always", table_kwargs={"sqlite_with_rowid": with_rowid}):
            pass
