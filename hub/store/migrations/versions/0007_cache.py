"""Entries of the cache: results that other runs may take."""

from __future__ import annotations

from alembic import op

from hub.store.tables import CacheEntry

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A database that 0001 has just made has it already."""
    CacheEntry.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop it: what was cached is computed again."""
    CacheEntry.__table__.drop(op.get_bind(), checkfirst=True)
