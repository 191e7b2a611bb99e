"""Bookmarks: requests that are kept under a name."""

from __future__ import annotations

from alembic import op

from hub.store.tables import Bookmark

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their table. A database that 0001 has just made has it."""
    Bookmark.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop it."""
    Bookmark.__table__.drop(op.get_bind(), checkfirst=True)
