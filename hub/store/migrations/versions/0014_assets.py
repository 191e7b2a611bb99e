"""Things outside that tasks make, each time that one was made, and what was made from what."""

from __future__ import annotations

from alembic import op

from hub.store.tables import Asset, AssetLink, Materialization

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

TABLES = (Asset, Materialization, AssetLink)


def upgrade() -> None:
    """Make them. A database that 0001 has just made has them already."""
    for table in TABLES:
        table.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop them, with what is in them."""
    for table in reversed(TABLES):
        table.__table__.drop(op.get_bind(), checkfirst=True)
