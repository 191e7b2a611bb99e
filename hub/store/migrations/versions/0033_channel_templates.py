"""Channels have texts of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

COLUMNS = ("title_template", "body_template", "template_error")


def upgrade() -> None:
    """Add columns. A database that 0001 has just made has them already."""
    known = {found["name"] for found in sa.inspect(op.get_bind()).get_columns("channels")}
    for name in COLUMNS:
        if name not in known:
            op.add_column("channels", sa.Column(name, sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Remove them."""
    for name in reversed(COLUMNS):
        op.drop_column("channels", name)
