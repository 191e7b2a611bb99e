"""What authors write: `@flow`, `@task`, futures, the run's logger and context. Standard library only."""

from __future__ import annotations

from hub.sdk import variables
from hub.sdk.alerting import Alerts, alert, resolve_alert
from hub.sdk.annotations import allow_failure, quote
from hub.sdk.answers import Event, input_link, receive, send, wait_for_event, wait_for_input
from hub.sdk.artifacts import (
    ArtifactId,
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from hub.sdk.assets import add_asset_metadata, materialize
from hub.sdk.connections import Connection, connection
from hub.sdk.context import RunContext, runtime_context
from hub.sdk.emitting import emit_event, send_webhook
from hub.sdk.flows import Deployed, Flow, flow
from hub.sdk.futures import Future, Futures, as_completed, wait
from hub.sdk.futurestream import FutureStream
from hub.sdk.inputs import batched, lazy
from hub.sdk.limits import concurrency, rate_limit
from hub.sdk.loggers import get_run_logger
from hub.sdk.retries import Backoff, RetryPolicy, exponential_backoff, retry_policy
from hub.sdk.runners import CeleryTaskRunner, ProcessPoolTaskRunner, ThreadPoolTaskRunner
from hub.sdk.tagging import tags
from hub.sdk.tasks import Task, Unmapped, task, unmapped
from hub.sdk.transactions import Step, Transaction, transaction
from hub.sdk.waiting import now, pause, sleep, sleep_until, suspend, uuid

__all__ = [
    "Alerts",
    "ArtifactId",
    "Backoff",
    "CeleryTaskRunner",
    "Connection",
    "Deployed",
    "Event",
    "Flow",
    "Future",
    "FutureStream",
    "Futures",
    "ProcessPoolTaskRunner",
    "RetryPolicy",
    "RunContext",
    "Step",
    "Task",
    "ThreadPoolTaskRunner",
    "Transaction",
    "Unmapped",
    "add_asset_metadata",
    "alert",
    "allow_failure",
    "as_completed",
    "batched",
    "concurrency",
    "connection",
    "create_image_artifact",
    "create_link_artifact",
    "create_markdown_artifact",
    "create_progress_artifact",
    "create_table_artifact",
    "emit_event",
    "exponential_backoff",
    "flow",
    "get_run_logger",
    "input_link",
    "lazy",
    "materialize",
    "now",
    "pause",
    "quote",
    "rate_limit",
    "receive",
    "resolve_alert",
    "retry_policy",
    "runtime_context",
    "send",
    "send_webhook",
    "sleep",
    "sleep_until",
    "suspend",
    "tags",
    "task",
    "transaction",
    "unmapped",
    "update_progress_artifact",
    "uuid",
    "variables",
    "wait",
    "wait_for_event",
    "wait_for_input",
]
