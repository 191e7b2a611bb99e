"""What belongs to the projects of `hub apply`."""

from __future__ import annotations

from alembic import op

from hub.store.tables import ProjectItem

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A database that 0001 has just made has it already."""
    ProjectItem.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop it."""
    ProjectItem.__table__.drop(op.get_bind())
