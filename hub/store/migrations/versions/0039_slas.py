"""What is expected of flows."""

from __future__ import annotations

from alembic import op

from hub.store.tables import SlaRow

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A database that 0001 has just made has it already."""
    SlaRow.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop it."""
    SlaRow.__table__.drop(op.get_bind())
