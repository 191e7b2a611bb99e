"""What a run says: lines of its logger and, with `log_prints`, what it prints."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from hub.sdk.context import RunContext, current
from hub.sdk.loggers import NAME, PRINTED, get_run_logger

_LINE = 65_536


class RunLogHandler(logging.Handler):
    """Sends records of the run logger to the run whose code wrote them; others are left alone."""

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        context = current.get()
        if context is not None:
            try:
                context.session.log(context.task_run_id, record.levelno, record.name, self.format(record))
            except Exception:  # noqa: BLE001 - logging's own way to report trouble
                self.handleError(record)


_installed = threading.Lock()


def install_logging(further: Iterable[str] = ()) -> None:
    """Connect the run logger and the `further` ones; once is enough. Those without a level get INFO."""
    with _installed:
        _connect(get_run_logger())
        for name in further:
            logger = logging.getLogger(name)
            _connect(logger)
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.INFO)


def _connect(logger: logging.Logger) -> None:
    above: logging.Logger | None = logger
    while above is not None:  # what a logger above keeps already would be kept twice
        if any(isinstance(handler, RunLogHandler) for handler in above.handlers):
            return
        above = above.parent if above.propagate else None
    logger.addHandler(RunLogHandler())


class _Lines:
    """Collects printed text and hands it on line by line."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._rest = ""

    def write(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        if len(self._rest) > _LINE:
            lines.append(self._rest)
            self._rest = ""
        for line in lines:
            if line.strip():
                self._context.session.log(self._context.task_run_id, logging.INFO, PRINTED, line)

    def flush(self) -> None:
        if self._rest:
            self.write("\n")


_capturing: ContextVar[_Lines | None] = ContextVar("hub_printing", default=None)


class _Tee:
    """Stands in for sys.stdout: passes everything on, and lets the run that printed it have a copy."""

    def __init__(self, under: Any) -> None:
        self.under = under

    def write(self, text: str) -> int:
        lines = _capturing.get()
        if lines is not None:
            lines.write(text)
        if self._closed():  # by an earlier task, maybe of another run: nothing that this one could help
            return len(text)
        return self.under.write(text)  # type: ignore[no-any-return]

    def flush(self) -> None:
        if not self._closed():
            self.under.flush()

    def _closed(self) -> bool:
        return bool(getattr(self.under, "closed", False))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.under, name)


_users = 0


@contextmanager
def printing(context: RunContext) -> Iterator[None]:
    """Copy what this code (and no other thread's) prints into the run's log."""
    lines = _Lines(context)
    token = _capturing.set(lines)
    _tee(1)
    try:
        yield
    finally:
        lines.flush()
        _tee(-1)
        _capturing.reset(token)


def _tee(change: int) -> None:
    global _users
    with _installed:
        _users += change
        if _users and not isinstance(sys.stdout, _Tee):
            sys.stdout = _Tee(sys.stdout)
        elif not _users and isinstance(sys.stdout, _Tee):
            sys.stdout = sys.stdout.under


__all__ = ["NAME", "install_logging", "printing"]
