"""Proposals that a person dismissed are remembered."""

from __future__ import annotations

from alembic import op

from hub.store.tables import Dismissal

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A database that 0001 has just made has it."""
    Dismissal.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Everything is proposed again."""
    Dismissal.__table__.drop(op.get_bind())
