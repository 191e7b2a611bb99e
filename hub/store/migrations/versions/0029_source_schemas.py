"""What the payloads of sources look like, and where they departed from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.tables import SourceDrift, SourceSchema

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

TABLES = (SourceSchema, SourceDrift)


def upgrade() -> None:
    """Make the tables, and say what a source does with them. A database that 0001 has just made has all of it."""
    bind = op.get_bind()
    if "schema_mode" not in {found["name"] for found in sa.inspect(bind).get_columns("sources")}:
        op.add_column("sources", sa.Column("schema_mode", sa.Text(), nullable=False, server_default="off"))
    for table in TABLES:
        table.__table__.create(bind, checkfirst=True)


def downgrade() -> None:
    """Drop them, with what is in them."""
    for table in reversed(TABLES):
        table.__table__.drop(op.get_bind(), checkfirst=True)
    op.drop_column("sources", "schema_mode")
