"""Alerts with occurrences, routes, groups, silences; messages that tell several alerts at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from hub.store.tables import (
    AlertGroup,
    AlertInhibition,
    AlertMember,
    AlertOccurrence,
    AlertRoute,
    AlertSilence,
    Notification,
    NotificationAlert,
)

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

TABLES = (
    AlertOccurrence,
    AlertRoute,
    AlertGroup,
    AlertMember,
    Notification,
    NotificationAlert,
    AlertSilence,
    AlertInhibition,
)
CONVENTION = {"uq": "uq_%(table_name)s_%(column_0_name)s"}
UNIQUE = "deliveries_notification_id_channel_id_attempt_key"
OLD = {"alerts": ["workspace_id", "dedup_key", "occurrence"], "deliveries": ["alert_id", "channel_id", "attempt"]}
FIRING, UNROUTED = "status = 'firing'", "routed_at IS NULL"
CHANNELS = (
    sa.Column("tags", sa.Text(), nullable=False, server_default="[]"),
    sa.Column("rate", sa.BigInteger(), nullable=False, server_default="30"),
    sa.Column("burst", sa.BigInteger(), nullable=False, server_default="10"),
    sa.Column("free_at", sa.BigInteger(), nullable=False, server_default="0"),
)
ALERTS = (
    sa.Column("context", sa.Text(), nullable=False, server_default="{}"),
    sa.Column("count", sa.BigInteger(), nullable=False, server_default="1"),
    sa.Column("last_at", sa.BigInteger(), nullable=False, server_default="0"),
    sa.Column("routed_at", sa.BigInteger(), nullable=True),
    sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
    sa.Column("acknowledged_until", sa.BigInteger(), nullable=True),
    sa.Column("acknowledged_by", sa.Text(), nullable=False, server_default=""),
)
DELIVERIES = (
    sa.Column("notification_id", sa.String(36), nullable=False, server_default=""),
    sa.Column("title", sa.Text(), nullable=False, server_default=""),
    sa.Column("provider_id", sa.Text(), nullable=False, server_default=""),
    sa.Column("merged_into", sa.String(36), nullable=True),
)
FILL = (
    # What was told and never resolved fires on once for each key; it is not told again.
    "UPDATE alerts SET status = 'resolved', resolved_at = created_at WHERE status = 'firing' AND EXISTS (SELECT 1 FROM"
    " alerts AS newer WHERE newer.workspace_id = alerts.workspace_id AND newer.dedup_key = alerts.dedup_key"
    " AND newer.status = 'firing' AND newer.id > alerts.id)",
    "INSERT INTO alert_occurrences (id, workspace_id, alert_id, dedup_key, occurrence, title, run_id, run_name, at)"
    " SELECT id, workspace_id, id, dedup_key, occurrence, title, run_id, '', created_at FROM alerts",
    "UPDATE alerts SET last_at = created_at, routed_at = created_at",
    # Each alert was a message of its own.
    "INSERT INTO notifications (id, workspace_id, route_id, group_id, reason, content, created_at)"
    " SELECT id, workspace_id, NULL, NULL, 'firing', '{}', created_at FROM alerts"
    " WHERE id IN (SELECT alert_id FROM deliveries)",
    "INSERT INTO notification_alerts (notification_id, alert_id, status, occurrences)"
    " SELECT id, id, 'firing', 1 FROM notifications",
    "UPDATE deliveries SET notification_id = alert_id",
)


def upgrade() -> None:
    """Change three tables and make the others. A database that 0001 has just made has all of it already."""
    inspector = sa.inspect(op.get_bind())
    if "notification_id" in {found["name"] for found in inspector.get_columns("deliveries")}:
        return
    for table in TABLES:
        table.__table__.create(op.get_bind(), checkfirst=True)
    for column in CHANNELS:
        op.add_column("channels", column)
    for name, columns in (("alerts", ALERTS), ("deliveries", DELIVERIES)):
        for column in columns:
            op.add_column(name, column)
    for statement in FILL:
        op.execute(statement)
    for name, unique in OLD.items():
        known = [found for found in inspector.get_unique_constraints(name) if found["column_names"] == unique]
        with op.batch_alter_table(name, naming_convention=CONVENTION) as changed:
            for found in known:
                changed.drop_constraint(found["name"] or f"uq_{name}_{unique[0]}", type_="unique")
            if name == "alerts":
                changed.drop_column("occurrence")
            else:
                changed.create_unique_constraint(UNIQUE, ["notification_id", "channel_id", "attempt"])
    where = sa.text(FIRING)
    op.create_index(
        "ux_alerts_firing", "alerts", ["workspace_id", "dedup_key"], unique=True, sqlite_where=where,
        postgresql_where=where,
    )  # fmt: skip
    where = sa.text(UNROUTED)
    op.create_index("ix_alerts_unrouted", "alerts", ["id"], sqlite_where=where, postgresql_where=where)
    op.create_index("ix_deliveries_alert", "deliveries", ["alert_id"])


def downgrade() -> None:
    """Not possible: an alert that came several times was several alerts."""
    raise NotImplementedError("schema 0032 cannot be taken back; restore a backup")
