"""The logger whose lines end up with the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging

NAME = "hub.run"
PRINTED = "print"
"""Whose lines of a run's log were printed."""


def get_run_logger() -> logging.Logger:
    """The logger of the current run: its lines are stored with the run and the task that wrote them.

    Outside a run it is an ordinary logger named `hub.run`. Lines below INFO are left out unless you lower its level.
    """
    import logging  # noqa: PLC0415 - here, because a flow that logs nothing need not wait for it

    logger = logging.getLogger(NAME)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    return logger
