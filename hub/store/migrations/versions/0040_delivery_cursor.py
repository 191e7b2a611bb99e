"""How far an attempt came that tells a service of many alerts, one after the other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. A database that 0001 has just made has it already."""
    known = {found["name"] for found in sa.inspect(op.get_bind()).get_columns("deliveries")}
    if "cursor" not in known:
        op.add_column("deliveries", sa.Column("cursor", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("deliveries", "cursor")
