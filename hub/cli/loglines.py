"""How a line of a run's log looks on a terminal."""

from __future__ import annotations

import logging

from rich.text import Text

_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}


def log_line(at: str, level: int, message: str, *, name: str = "") -> Text:
    """One line: its time of day (of a moment as in JSON), its level, the `name` of who wrote it, what it says."""
    word = logging.getLevelName(level)
    who = f"{name}  " if name else ""
    return Text(f"{at[11:23]}  {word:<8} {who}{message}", style=_STYLES.get(word, ""))
