"""Two indexes less for each webhook to write: receipts are found by their ids, and few effects are done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

_DONE = sa.text("done_at IS NOT NULL")


def upgrade() -> None:
    """A database that 0001 has just made has neither the one nor the other."""
    op.drop_index("ix_receipts_at", "receipts", if_exists=True)
    op.drop_index("ix_effects_done", "effects", if_exists=True)
    op.create_index("ix_effects_done", "effects", ["done_at"], sqlite_where=_DONE, postgresql_where=_DONE)


def downgrade() -> None:
    """Make them as they were."""
    op.drop_index("ix_effects_done", "effects", if_exists=True)
    op.create_index("ix_effects_done", "effects", ["done_at"])
    op.create_index("ix_receipts_at", "receipts", ["received_at"])
