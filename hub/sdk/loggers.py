"""The logger whose lines end up with the run."""

from __future__ import annotations

import logging

NAME = "hub.run"


def get_run_logger() -> logging.Logger:
    """The logger of the current run: its lines are stored with the run and the task that wrote them.

    Outside a run it is an ordinary logger named `hub.run`. Lines below INFO are left out unless you lower its level.
    """
    logger = logging.getLogger(NAME)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    return logger
