"""Flow control of deployments: how it is set, what it remembers, which events cancel a run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.tables import FlowState, RunCancel

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLES = (FlowState, RunCancel)
COLUMNS = (
    ("deployments", sa.Column("flow_control", sa.Text(), nullable=False, server_default="{}")),
    ("automation_actions", sa.Column("seq", sa.BigInteger(), nullable=False, server_default="0")),
    ("runs", sa.Column("throttle", sa.String(36), nullable=True)),
)


def upgrade() -> None:
    """Make them. A database that 0001 has just made has them already."""
    bind = op.get_bind()
    for table, column in COLUMNS:
        if column.name not in {found["name"] for found in sa.inspect(bind).get_columns(table)}:
            op.add_column(table, column)
    for model in TABLES:
        model.__table__.create(bind, checkfirst=True)
    only = sa.text("throttle IS NOT NULL")
    op.create_index(
        "ix_runs_throttle", "runs", ["throttle"], if_not_exists=True, sqlite_where=only, postgresql_where=only
    )


def downgrade() -> None:
    """Drop them, with what is in them."""
    op.drop_index("ix_runs_throttle", "runs", if_exists=True)
    for model in reversed(TABLES):
        model.__table__.drop(op.get_bind(), checkfirst=True)
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column.name)
