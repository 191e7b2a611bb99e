"""A plane takes webhooks for the sources of its sites and keeps them sealed until they are fetched."""

from __future__ import annotations

from alembic import op

from hub.store.tables import LinkAddress, PlaneAddress, PlaneWebhook

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

TABLES = (LinkAddress, PlaneAddress, PlaneWebhook)


def upgrade() -> None:
    """Make the tables. A database that 0001 has just made has them."""
    for model in TABLES:
        model.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Take them away, with what waits at a plane."""
    for model in TABLES:
        model.__table__.drop(op.get_bind())
