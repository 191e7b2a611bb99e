"""Connections: typed settings of services, by name."""

from __future__ import annotations

from alembic import op

from hub.store.tables import Connection

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A database that 0001 has just made has it already."""
    Connection.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Not offered: connections would be lost."""
    raise NotImplementedError("this change cannot be taken back")
