"""Messages to runs, and an index of the points that wait for events."""

from __future__ import annotations

from alembic import op
from sqlalchemy import inspect

from hub.store.tables import Message, WaitPoint

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

INDEX = "ix_wait_points_events"


def upgrade() -> None:
    """Make them. A database that 0001 has just made has them."""
    Message.__table__.create(op.get_bind(), checkfirst=True)
    if INDEX not in _indexes():
        next(index for index in WaitPoint.__table__.indexes if index.name == INDEX).create(op.get_bind())


def downgrade() -> None:
    """Drop them."""
    if INDEX in _indexes():
        op.drop_index(INDEX, "wait_points")
    Message.__table__.drop(op.get_bind(), checkfirst=True)


def _indexes() -> set[str | None]:
    return {index["name"] for index in inspect(op.get_bind()).get_indexes("wait_points")}
