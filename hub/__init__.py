"""Hubspoke: signed webhooks start Python flows on Celery; failures reach people.

`from hub import flow, task` costs tens of milliseconds: names resolve on first use (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.version import __version__

if TYPE_CHECKING:
    from hub.hookspecs import hookimpl as hookimpl
    from hub.sdk import Future as Future
    from hub.sdk import as_completed as as_completed
    from hub.sdk import exponential_backoff as exponential_backoff
    from hub.sdk import flow as flow
    from hub.sdk import get_run_logger as get_run_logger
    from hub.sdk import runtime_context as runtime_context
    from hub.sdk import task as task
    from hub.sdk import unmapped as unmapped
    from hub.sdk import wait as wait

_SDK = (
    "Future", "as_completed", "exponential_backoff", "flow", "get_run_logger", "runtime_context", "task", "unmapped",
    "wait",
)  # fmt: skip
_HOMES = {**dict.fromkeys(_SDK, "hub.sdk"), "hookimpl": "hub.hookspecs"}
__all__ = [
    "Future",
    "__version__",
    "as_completed",
    "exponential_backoff",
    "flow",
    "get_run_logger",
    "hookimpl",
    "runtime_context",
    "task",
    "unmapped",
    "wait",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'hub' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - keeps the façade free of work until it is used

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
