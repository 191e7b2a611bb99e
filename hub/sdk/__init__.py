"""What authors write: `@flow`, `@task`, futures, the run's logger and context. Standard library only."""

from __future__ import annotations

from hub.sdk.context import RunContext, runtime_context
from hub.sdk.flows import Deployed, Flow, flow
from hub.sdk.futures import Future, Futures, as_completed, wait
from hub.sdk.loggers import get_run_logger
from hub.sdk.retries import Backoff, exponential_backoff
from hub.sdk.tasks import Task, Unmapped, task, unmapped

__all__ = [
    "Backoff",
    "Deployed",
    "Flow",
    "Future",
    "Futures",
    "RunContext",
    "Task",
    "Unmapped",
    "as_completed",
    "exponential_backoff",
    "flow",
    "get_run_logger",
    "runtime_context",
    "task",
    "unmapped",
    "wait",
]
