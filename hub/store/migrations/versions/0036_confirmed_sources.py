"""Whether a source was confirmed by its provider, and whether its handshake is closed since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

COLUMNS = (
    sa.Column("handshake", sa.Text(), nullable=False, server_default="open"),
    sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
    sa.Column("confirm_error", sa.Text(), nullable=True),
)


def upgrade() -> None:
    """Add the columns. A database that 0001 has just made has them already."""
    known = {found["name"] for found in sa.inspect(op.get_bind()).get_columns("sources")}
    for column in COLUMNS:
        if column.name not in known:
            op.add_column("sources", column)


def downgrade() -> None:
    """Drop them."""
    for column in reversed(COLUMNS):
        op.drop_column("sources", column.name)
