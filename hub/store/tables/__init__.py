"""Every table of the hub, one Alembic stream. Importing this package registers them all on `metadata`."""

from __future__ import annotations

from sqlmodel import SQLModel

from hub.store.tables.alerts import Alert, Channel, Delivery
from hub.store.tables.automations import Automation, Firing
from hub.store.tables.catalog import Deployment, Schedule, Tick, WorkPool, WorkQueue
from hub.store.tables.events import Effect, Event, Leader
from hub.store.tables.identity import ApiToken, AuditEntry, Secret, SiteValue, User, Workspace
from hub.store.tables.links import CommandOutcome, Link, PlaneCommand, PlaneEvent, PlaneRun, PlaneSite
from hub.store.tables.plugins import PluginValue
from hub.store.tables.runs import Attempt, Log, RunRow, StateRow, TaskRunRow
from hub.store.tables.webhooks import Receipt, ReceiptKey, Source, SourceSecret
from hub.store.tables.workers import Worker

metadata = SQLModel.metadata

__all__ = [
    "Alert",
    "ApiToken",
    "Attempt",
    "AuditEntry",
    "Automation",
    "Channel",
    "CommandOutcome",
    "Delivery",
    "Deployment",
    "Effect",
    "Event",
    "Firing",
    "Leader",
    "Link",
    "Log",
    "PlaneCommand",
    "PlaneEvent",
    "PlaneRun",
    "PlaneSite",
    "PluginValue",
    "Receipt",
    "ReceiptKey",
    "RunRow",
    "Schedule",
    "Secret",
    "SiteValue",
    "Source",
    "SourceSecret",
    "StateRow",
    "TaskRunRow",
    "Tick",
    "User",
    "WorkPool",
    "WorkQueue",
    "Worker",
    "Workspace",
    "metadata",
]
