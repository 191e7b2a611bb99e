"""Automations that fire at set times."""

from __future__ import annotations

from alembic import op

from hub.store.tables import AutomationSchedule

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A database that 0001 has just made has it already."""
    AutomationSchedule.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop it."""
    AutomationSchedule.__table__.drop(op.get_bind(), checkfirst=True)
