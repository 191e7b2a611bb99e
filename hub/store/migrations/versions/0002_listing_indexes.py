"""Indexes for the filters of listings.

All begin with the workspace: SQLite, which knows nothing of how values are spread, else prefers the index of the whole
workspace and looks at every row of it.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NEW = (
    ("ix_runs_ws_flow", "runs", ["workspace_id", "flow_name", "id"], ""),
    ("ix_runs_ws_deployment", "runs", ["workspace_id", "deployment_id", "id"], ""),
    ("ix_runs_ws_parent", "runs", ["workspace_id", "parent_run_id", "id"], ""),
    ("ix_receipts_ws_source", "receipts", ["workspace_id", "source_id", "id"], ""),
    ("ix_receipts_ws_rare", "receipts", ["workspace_id", "verdict", "id"], "verdict <> 'accepted'"),
    ("ix_receipts_source_rare", "receipts", ["workspace_id", "source_id", "verdict", "id"], "verdict <> 'accepted'"),
    ("ix_events_ws_run", "events", ["workspace_id", "run_id", "seq"], "run_id IS NOT NULL"),
    ("ix_alerts_ws_status", "alerts", ["workspace_id", "status", "id"], ""),
)
OLD = (
    ("ix_runs_deployment", "runs", ["deployment_id", "id"]),
    ("ix_runs_parent", "runs", ["parent_run_id"]),
    ("ix_receipts_source", "receipts", ["source_id", "id"]),
    ("ix_events_run_id", "events", ["run_id"]),
)


def upgrade() -> None:
    """Make the new ones and drop those they replace. A database that 0001 has just made is like that already."""
    for name, table, columns, where in NEW:
        only = text(where) if where else None
        op.create_index(name, table, columns, if_not_exists=True, sqlite_where=only, postgresql_where=only)
    for name, table, _columns in OLD:
        op.drop_index(name, table, if_exists=True)


def downgrade() -> None:
    """Put the old ones back."""
    for name, table, columns in OLD:
        op.create_index(name, table, columns, if_not_exists=True)
    for name, table, _columns, _where in NEW:
        op.drop_index(name, table, if_exists=True)
