"""Small values by name."""

from __future__ import annotations

from alembic import op

from hub.store.tables import Variable

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A database that 0001 has just made has it already."""
    Variable.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop it, with what is in it."""
    Variable.__table__.drop(op.get_bind(), checkfirst=True)
