"""Accounts of services and of identity providers, invitations, logins from terminals, and more of the audit trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.tables import DeviceLogin, Invitation

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

COLUMNS = (
    ("users", "kind", {"nullable": False, "server_default": "person"}),
    ("users", "subject", {"nullable": True}),
    ("users", "public_key", {"nullable": True}),
    ("audit", "via", {"nullable": False, "server_default": ""}),
    ("audit", "address", {"nullable": False, "server_default": ""}),
    ("audit", "changes", {"nullable": False, "server_default": "{}"}),
)


def upgrade() -> None:
    """Make columns and tables. A database that 0001 has just made has them."""
    bind = op.get_bind()
    for table, name, how in COLUMNS:
        if name not in {found["name"] for found in sa.inspect(bind).get_columns(table)}:
            op.add_column(table, sa.Column(name, sa.Text(), **how))
    for made in (Invitation, DeviceLogin):
        made.__table__.create(bind, checkfirst=True)


def downgrade() -> None:
    """Take them away."""
    for made in (DeviceLogin, Invitation):
        made.__table__.drop(op.get_bind())
    for table, name, _ in COLUMNS:
        op.drop_column(table, name)
