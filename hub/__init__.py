"""Hubspoke: signed webhooks start Python flows on Celery; failures reach people.

`from hub import flow, task` costs tens of milliseconds: names resolve on first use (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.version import __version__

if TYPE_CHECKING:
    from hub.errors import LimitTimeout as LimitTimeout
    from hub.errors import PauseTimeout as PauseTimeout
    from hub.errors import WaitTimeout as WaitTimeout
    from hub.hookspecs import hookimpl as hookimpl
    from hub.sdk import Alerts as Alerts
    from hub.sdk import CeleryTaskRunner as CeleryTaskRunner
    from hub.sdk import Connection as Connection
    from hub.sdk import Event as Event
    from hub.sdk import Future as Future
    from hub.sdk import ProcessPoolTaskRunner as ProcessPoolTaskRunner
    from hub.sdk import ThreadPoolTaskRunner as ThreadPoolTaskRunner
    from hub.sdk import add_asset_metadata as add_asset_metadata
    from hub.sdk import alert as alert
    from hub.sdk import allow_failure as allow_failure
    from hub.sdk import as_completed as as_completed
    from hub.sdk import batched as batched
    from hub.sdk import concurrency as concurrency
    from hub.sdk import connection as connection
    from hub.sdk import create_image_artifact as create_image_artifact
    from hub.sdk import create_link_artifact as create_link_artifact
    from hub.sdk import create_markdown_artifact as create_markdown_artifact
    from hub.sdk import create_progress_artifact as create_progress_artifact
    from hub.sdk import create_table_artifact as create_table_artifact
    from hub.sdk import emit_event as emit_event
    from hub.sdk import exponential_backoff as exponential_backoff
    from hub.sdk import flow as flow
    from hub.sdk import get_run_logger as get_run_logger
    from hub.sdk import input_link as input_link
    from hub.sdk import lazy as lazy
    from hub.sdk import materialize as materialize
    from hub.sdk import now as now
    from hub.sdk import pause as pause
    from hub.sdk import quote as quote
    from hub.sdk import rate_limit as rate_limit
    from hub.sdk import receive as receive
    from hub.sdk import resolve_alert as resolve_alert
    from hub.sdk import retry_policy as retry_policy
    from hub.sdk import runtime_context as runtime_context
    from hub.sdk import send as send
    from hub.sdk import send_webhook as send_webhook
    from hub.sdk import sleep as sleep
    from hub.sdk import sleep_until as sleep_until
    from hub.sdk import suspend as suspend
    from hub.sdk import tags as tags
    from hub.sdk import task as task
    from hub.sdk import transaction as transaction
    from hub.sdk import unmapped as unmapped
    from hub.sdk import update_progress_artifact as update_progress_artifact
    from hub.sdk import uuid as uuid
    from hub.sdk import variables as variables
    from hub.sdk import wait as wait
    from hub.sdk import wait_for_event as wait_for_event
    from hub.sdk import wait_for_input as wait_for_input
    from hub.sdk.outside.containers import container as container
    from hub.sdk.outside.https import http as http
    from hub.sdk.outside.shells import shell as shell

__all__ = [
    "Alerts",
    "CeleryTaskRunner",
    "Connection",
    "Event",
    "Future",
    "LimitTimeout",
    "PauseTimeout",
    "ProcessPoolTaskRunner",
    "ThreadPoolTaskRunner",
    "WaitTimeout",
    "__version__",
    "add_asset_metadata",
    "alert",
    "allow_failure",
    "as_completed",
    "batched",
    "concurrency",
    "connection",
    "container",
    "create_image_artifact",
    "create_link_artifact",
    "create_markdown_artifact",
    "create_progress_artifact",
    "create_table_artifact",
    "emit_event",
    "exponential_backoff",
    "flow",
    "get_run_logger",
    "hookimpl",
    "http",
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
    "shell",
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
_HOMES = {
    **dict.fromkeys(__all__, "hub.sdk"),
    "LimitTimeout": "hub.errors",
    "PauseTimeout": "hub.errors",
    "WaitTimeout": "hub.errors",
    "hookimpl": "hub.hookspecs",
    "container": "hub.sdk.outside.containers",
    "http": "hub.sdk.outside.https",
    "shell": "hub.sdk.outside.shells",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'hub' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - keeps the façade free of work until it is used

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
