"""Indexes for lists of what was sent, as tables are read when they are long."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

RARE = "status <> 'delivered'"
NEW = (
    ("ix_outgoing_webhooks_newest", ["workspace_id", "id"], ""),
    ("ix_outgoing_webhooks_ws_rare", ["workspace_id", "status", "id"], RARE),
    ("ix_outgoing_webhooks_endpoint_rare", ["workspace_id", "endpoint_id", "status", "id"], RARE),
)


def upgrade() -> None:
    """Make them. A database that 0001 has just made has them already."""
    for name, columns, where in NEW:
        only = text(where) if where else None
        op.create_index(
            name, "outgoing_webhooks", columns, if_not_exists=True, sqlite_where=only, postgresql_where=only
        )


def downgrade() -> None:
    """Drop them."""
    for name, _columns, _where in NEW:
        op.drop_index(name, "outgoing_webhooks", if_exists=True)
