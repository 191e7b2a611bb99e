"""Transactions of runs: staged steps, values, keys."""

from __future__ import annotations

from alembic import op

from hub.store.tables import Compensation, TransactionKey, TransactionRow

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLES = (Compensation, TransactionRow, TransactionKey)


def upgrade() -> None:
    """Make them. A database that 0001 has just made has them."""
    for table in TABLES:
        table.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop them."""
    for table in TABLES:
        table.__table__.drop(op.get_bind(), checkfirst=True)
