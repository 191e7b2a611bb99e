"""Sources whose silence is an alarm."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, inspect

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add after how long, counted from when, and since when the alarm is on. What 0001 has just made has them."""
    if "alert_after_s" in {column["name"] for column in inspect(op.get_bind()).get_columns("sources")}:
        return
    op.add_column("sources", Column("alert_after_s", BigInteger, nullable=False, server_default="0"))
    op.add_column("sources", Column("heard_at", BigInteger, nullable=True))
    op.add_column("sources", Column("silent_at", BigInteger, nullable=True))


def downgrade() -> None:
    """Remove them."""
    for name in ("silent_at", "heard_at", "alert_after_s"):
        op.drop_column("sources", name)
