"""Sites join with a token that expires, and prove by a key who they are."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from hub.store.tables import PlaneAccess, PlaneAssertion, PlaneJoin, PlaneKey

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

TABLES = (PlaneJoin, PlaneKey, PlaneAssertion, PlaneAccess)
COLUMNS: tuple[tuple[str, sa.Column[Any]], ...] = (
    ("links", sa.Column("sealed_keys", sa.LargeBinary(), nullable=True)),
    ("links", sa.Column("audience", sa.Text(), nullable=False, server_default="")),
    ("links", sa.Column("protocol", sa.BigInteger(), nullable=False, server_default="2")),
    ("links", sa.Column("key_made_at", sa.BigInteger(), nullable=False, server_default="0")),
    ("links", sa.Column("key_until", sa.BigInteger(), nullable=False, server_default="0")),
    ("links", sa.Column("clock_offset", sa.BigInteger(), nullable=False, server_default="0")),
    ("plane_sites", sa.Column("seal_key", sa.Text(), nullable=False, server_default="")),
    ("plane_sites", sa.Column("rotate_key", sa.Boolean(), nullable=False, server_default=sa.false())),
    ("plane_sites", sa.Column("protocol", sa.BigInteger(), nullable=False, server_default="1")),
)


def upgrade() -> None:
    """Make the tables and the columns. A database that 0001 has just made has them."""
    bind = op.get_bind()
    for model in TABLES:
        model.__table__.create(bind, checkfirst=True)
    for table, column in COLUMNS:
        if column.name not in {found["name"] for found in sa.inspect(bind).get_columns(table)}:
            op.add_column(table, column)


def downgrade() -> None:
    """Take them away. Sites that joined with a key must join anew."""
    for table, column in COLUMNS:
        op.drop_column(table, str(column.name))
    for model in TABLES:
        model.__table__.drop(op.get_bind())
