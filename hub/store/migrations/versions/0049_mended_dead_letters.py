"""A dead letter knows by which replay it became events after all; it is not listed with the others any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

COLUMNS = (("replayed_by", sa.String(36)), ("replayed_at", sa.BigInteger()))
INDEXES = (
    ("ix_receipts_ws_failed", ["workspace_id", "id"], sa.text("error IS NOT NULL AND replayed_by IS NULL")),
    ("ix_receipts_ws_mended", ["workspace_id", "id"], sa.text("replayed_by IS NOT NULL")),
    ("ix_receipts_replay_of", ["workspace_id", "replay_of", "id"], sa.text("replay_of IS NOT NULL")),
)
_GOOD = "FROM receipts AS r WHERE r.replay_of = receipts.id AND r.processed_at IS NOT NULL AND r.error IS NULL"
_MENDED = f"""UPDATE receipts SET replayed_by = (SELECT MIN(r.id) {_GOOD}),
    replayed_at = (SELECT MIN(r.processed_at) {_GOOD})
    WHERE error IS NOT NULL AND EXISTS (SELECT 1 {_GOOD})"""  # noqa: S608 - no value from outside is in it


def upgrade() -> None:
    """Also for what was replayed before. A database that 0001 has just made has the columns and indexes."""
    known = {found["name"] for found in sa.inspect(op.get_bind()).get_columns("receipts")}
    for name, kind in COLUMNS:
        if name not in known:
            op.add_column("receipts", sa.Column(name, kind, nullable=True))
    for name, columns, where in INDEXES:
        op.drop_index(name, "receipts", if_exists=True)
        op.create_index(name, "receipts", columns, sqlite_where=where, postgresql_where=where)
    op.execute(_MENDED)


def downgrade() -> None:
    """All dead letters are listed again."""
    for name, _, _ in INDEXES:
        op.drop_index(name, "receipts")
    for name, _ in COLUMNS:
        op.drop_column("receipts", name)
    failed = sa.text("error IS NOT NULL")
    op.create_index(
        "ix_receipts_ws_failed", "receipts", ["workspace_id", "id"], sqlite_where=failed, postgresql_where=failed
    )
