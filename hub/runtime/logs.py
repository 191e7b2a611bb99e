"""The log of the hub's own processes: one line on standard error for what an operator should know."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from typing import Any

from hub.redacting import redacted
from hub.runtime import process
from hub.settings import Settings
from hub.types import rfc3339

_QUIET = {"celery": logging.ERROR, "kombu": logging.ERROR, "amqp": logging.ERROR, "uvicorn": logging.WARNING}


def set_up(settings: Settings) -> None:
    """Write the hub's log as the settings say. Flows' own loggers stay as the flow sets them up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if settings.log_format == "json" else _Console())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("hub").setLevel(settings.log_level)
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)


class _Console(logging.Formatter):
    """`12:30:00 warning worker: what happened`; no level on what is merely told."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(place)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()} " if record.levelno > logging.INFO else ""
        record.place = level + (process.name() or record.name)
        return redacted(super().format(record))


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": rfc3339(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "process": process.name(),
            "pid": record.process,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        if record.exc_info:
            line["error"] = redacted("".join(traceback.format_exception(*record.exc_info)))
        return json.dumps(line, ensure_ascii=False)
