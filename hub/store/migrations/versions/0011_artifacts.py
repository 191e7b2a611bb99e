"""What runs leave for people to read."""

from __future__ import annotations

from alembic import op

from hub.store.tables import Artifact

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A database that 0001 has just made has it already."""
    Artifact.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop it, with what is in it."""
    Artifact.__table__.drop(op.get_bind(), checkfirst=True)
