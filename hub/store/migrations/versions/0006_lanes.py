"""Limits of deployments: how many of its runs execute at once, for each key, and what happens to the rest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.tables import Lane

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = (
    ("deployments", sa.Column("concurrency", sa.Integer(), nullable=True)),
    ("deployments", sa.Column("concurrency_key", sa.Text(), nullable=False, server_default="")),
    ("deployments", sa.Column("overflow", sa.Text(), nullable=False, server_default="enqueue")),
    ("runs", sa.Column("lane", sa.Text(), nullable=True)),
)
INDEXES = (
    ("ix_runs_lane", "runs", ["queue", "lane", "due_at"], "state_type = 'SCHEDULED' AND lane IS NOT NULL"),
    ("ix_deployments_overflow", "deployments", ["id"], "overflow <> 'enqueue'"),
)


def upgrade() -> None:
    """Make them. A database that 0001 has just made has them."""
    bind = op.get_bind()
    Lane.__table__.create(bind, checkfirst=True)
    known = {
        (table, found["name"]) for table in ("runs", "deployments") for found in sa.inspect(bind).get_columns(table)
    }
    for table, column in COLUMNS:
        if (table, column.name) not in known:
            op.add_column(table, column)
    for name, table, columns, where in INDEXES:
        only = sa.text(where)
        op.create_index(name, table, columns, if_not_exists=True, sqlite_where=only, postgresql_where=only)


def downgrade() -> None:
    """Take them away."""
    for name, table, _columns, _where in INDEXES:
        op.drop_index(name, table, if_exists=True)
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column.name)
    Lane.__table__.drop(op.get_bind(), checkfirst=True)
