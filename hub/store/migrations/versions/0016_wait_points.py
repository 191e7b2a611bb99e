"""What the code of runs waits for."""

from __future__ import annotations

from alembic import op

from hub.store.tables import WaitPoint

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A database that 0001 has just made has it."""
    WaitPoint.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop it."""
    WaitPoint.__table__.drop(op.get_bind(), checkfirst=True)
