"""The first schema: every table of the hub, as the models had them at 0.1.0."""

from __future__ import annotations

from alembic import op

from hub.store.tables import metadata

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables. Until the first release the models are the schema; afterwards this is frozen."""
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    """Drop all tables."""
    metadata.drop_all(op.get_bind())
