"""Automations count events, carry out actions apart, and say why they did what they did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.tables import AutomationAction, AutomationWindow

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES = (AutomationWindow, AutomationAction)
COLUMNS = ("reason", "key", "events")


def upgrade() -> None:
    """Make them. A database that 0001 has just made has them already."""
    bind = op.get_bind()
    known = {found["name"] for found in sa.inspect(bind).get_columns("firings")}
    for name in COLUMNS:
        if name not in known:
            op.add_column("firings", sa.Column(name, sa.Text(), nullable=True))
    for table in TABLES:
        table.__table__.create(bind, checkfirst=True)


def downgrade() -> None:
    """Drop them, with what is in them."""
    for table in reversed(TABLES):
        table.__table__.drop(op.get_bind(), checkfirst=True)
    for name in COLUMNS:
        op.drop_column("firings", name)
