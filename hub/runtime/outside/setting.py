"""Where a task that is no Python function stands: its log, its limits, whom it stops for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from hub.runtime.executor.limits import Expired
from hub.sdk.context import RunContext
from hub.sdk.loggers import get_run_logger
from hub.types import Id, new_id

SLICE_S = 0.1
"""How often it looks whether it must stop."""


class Setting:
    """`timeout` in seconds from now; `check` raises when the run must stop. `context` is None outside a run."""

    def __init__(
        self, context: RunContext | None = None, *, timeout: float | None = None,
        check: Callable[[], object] = lambda: None,
    ) -> None:  # fmt: skip
        self.context = context
        self.task_run_id: Id = (context.task_run_id if context is not None else None) or new_id()
        self.idempotency_key: Id = context.idempotency_key if context is not None else self.task_run_id
        self.attempt = context.task_attempt if context is not None else 1
        self.generation = context.attempt if context is not None else 1
        self._end = None if timeout is None else time.monotonic() + timeout
        self._check = check

    def go_on(self) -> None:
        """Raise Expired when the time is over, or what its run was stopped by."""
        self._check()
        if self._end is not None and time.monotonic() >= self._end:
            raise Expired

    def wait_s(self, most: float = SLICE_S) -> float:
        """Seconds to wait, at most so many, and no longer than there is time."""
        return most if self._end is None else max(0.001, min(most, self._end - time.monotonic()))

    @property
    def repeated(self) -> bool:
        """Whether this may have been tried before."""
        return self.attempt > 1 or self.generation > 1

    def log(self, level: int, line: str) -> None:
        """Write a line to the run's log."""
        if self.context is not None:
            self.context.session.log(self.context.task_run_id, level, "program", line)
        else:
            get_run_logger().log(level, "%s", line)

    def variables(self) -> dict[str, str]:
        """What a program gets to know of its run."""
        if self.context is None:
            return {}
        return {"HUB_RUN_ID": self.context.run_id, "HUB_TASK_RUN_ID": self.task_run_id}


INFO, WARNING = logging.INFO, logging.WARNING
