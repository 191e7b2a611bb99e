"""Named limits and the rows that are counted against them."""

from __future__ import annotations

from alembic import op

from hub.store.tables import Limit, LimitSlot

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = (Limit, LimitSlot)


def upgrade() -> None:
    """Make them. A database that 0001 has just made has them."""
    for table in TABLES:
        table.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop them."""
    for table in TABLES:
        table.__table__.drop(op.get_bind(), checkfirst=True)
