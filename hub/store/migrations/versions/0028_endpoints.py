"""Endpoints, and the webhooks that are sent to them."""

from __future__ import annotations

from alembic import op

from hub.store.tables import Endpoint, EndpointKey, OutgoingAttempt, OutgoingWebhook

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TABLES = (Endpoint, EndpointKey, OutgoingWebhook, OutgoingAttempt)


def upgrade() -> None:
    """Make them. A database that 0001 has just made has them already."""
    for table in TABLES:
        table.__table__.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    """Drop them, with what is in them."""
    for table in reversed(TABLES):
        table.__table__.drop(op.get_bind(), checkfirst=True)
