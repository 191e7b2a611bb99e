"""Every table of the hub, one Alembic stream. Importing this package registers them all on `metadata`."""

from __future__ import annotations

from sqlmodel import SQLModel

from hub.store.tables.alerts import (
    Alert,
    AlertGroup,
    AlertInhibition,
    AlertMember,
    AlertOccurrence,
    AlertRoute,
    AlertSilence,
    Channel,
    Delivery,
    Notification,
    NotificationAlert,
    SlaRow,
)
from hub.store.tables.artifacts import Artifact
from hub.store.tables.assets import Asset, AssetLink, Materialization
from hub.store.tables.automations import Automation, AutomationAction, AutomationSchedule, AutomationWindow, Firing
from hub.store.tables.cache import CacheEntry
from hub.store.tables.catalog import Deployment, Schedule, Tick, WorkPool, WorkQueue
from hub.store.tables.connections import Connection
from hub.store.tables.endpoints import Endpoint, EndpointKey, OutgoingAttempt, OutgoingWebhook
from hub.store.tables.events import Effect, Event, Leader
from hub.store.tables.flow_control import FlowState, RunCancel
from hub.store.tables.forwarding import LinkAddress, PlaneAddress, PlaneWebhook
from hub.store.tables.identity import (
    ApiToken,
    AuditEntry,
    DeviceLogin,
    Invitation,
    Secret,
    SiteValue,
    User,
    Workspace,
)
from hub.store.tables.limits import Lane, Limit, LimitSlot
from hub.store.tables.links import CommandOutcome, Link, PlaneCommand, PlaneEvent, PlaneLog, PlaneRun, PlaneSite
from hub.store.tables.plugins import PluginSetting, PluginValue
from hub.store.tables.projects import ProjectItem
from hub.store.tables.results import ResultGarbage, ResultUse
from hub.store.tables.runs import Attempt, Log, RunRow, StateRow, TaskRunRow
from hub.store.tables.site_keys import PlaneAccess, PlaneAssertion, PlaneJoin, PlaneKey
from hub.store.tables.transactions import Compensation, TransactionKey, TransactionRow
from hub.store.tables.variables import Variable
from hub.store.tables.waits import Message, WaitPoint
from hub.store.tables.webhooks import (
    Bookmark,
    Dismissal,
    Receipt,
    ReceiptKey,
    Source,
    SourceConsumer,
    SourceDrift,
    SourceSchema,
    SourceSecret,
)
from hub.store.tables.workers import Worker

metadata = SQLModel.metadata

__all__ = [
    "Alert",
    "AlertGroup",
    "AlertInhibition",
    "AlertMember",
    "AlertOccurrence",
    "AlertRoute",
    "AlertSilence",
    "ApiToken",
    "Artifact",
    "Asset",
    "AssetLink",
    "Attempt",
    "AuditEntry",
    "Automation",
    "AutomationAction",
    "AutomationSchedule",
    "AutomationWindow",
    "Bookmark",
    "CacheEntry",
    "Channel",
    "CommandOutcome",
    "Compensation",
    "Connection",
    "Delivery",
    "Deployment",
    "DeviceLogin",
    "Dismissal",
    "Effect",
    "Endpoint",
    "EndpointKey",
    "Event",
    "Firing",
    "FlowState",
    "Invitation",
    "Lane",
    "Leader",
    "Limit",
    "LimitSlot",
    "Link",
    "LinkAddress",
    "Log",
    "Materialization",
    "Message",
    "Notification",
    "NotificationAlert",
    "OutgoingAttempt",
    "OutgoingWebhook",
    "PlaneAccess",
    "PlaneAddress",
    "PlaneAssertion",
    "PlaneCommand",
    "PlaneEvent",
    "PlaneJoin",
    "PlaneKey",
    "PlaneLog",
    "PlaneRun",
    "PlaneSite",
    "PlaneWebhook",
    "PluginSetting",
    "PluginValue",
    "ProjectItem",
    "Receipt",
    "ReceiptKey",
    "ResultGarbage",
    "ResultUse",
    "RunCancel",
    "RunRow",
    "Schedule",
    "Secret",
    "SiteValue",
    "SlaRow",
    "Source",
    "SourceConsumer",
    "SourceDrift",
    "SourceSchema",
    "SourceSecret",
    "StateRow",
    "TaskRunRow",
    "Tick",
    "TransactionKey",
    "TransactionRow",
    "User",
    "Variable",
    "WaitPoint",
    "WorkPool",
    "WorkQueue",
    "Worker",
    "Workspace",
    "metadata",
]
