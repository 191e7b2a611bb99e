"""What was set for plugins: whether they are switched on, their configuration, when their failures were forgotten."""

from __future__ import annotations

from alembic import op

from hub.store.tables import PluginSetting

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table. A database that 0001 has just made has it already."""
    PluginSetting.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop it."""
    PluginSetting.__table__.drop(op.get_bind())
