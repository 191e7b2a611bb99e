"""The texts that are kept with an alert. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.texts.cutting import cut
from hub.texts.formats import clean

from hub_notifications.shapes import LONGEST_TITLE

MAX_TEXT = 3_500
MAX_LINE = 200
_WORDS = {
    "run-failed": "failed",
    "run-timed-out": "was over its time limit",
    "run-crashed": "crashed",
}


def run_title(kind: str, run: Mapping[str, Any]) -> str:
    """The title of an alert about a run that ended badly."""
    return one_line(f"{run['deployment_name'] or run['flow_name']} {_WORDS.get(kind, kind)}")


def one_line(text: str) -> str:
    """A title as it is kept; what it must not do is seen to when a message is made of it."""
    return cut(" ".join(clean(text).split()), LONGEST_TITLE)


def safe(text: str, limit: int) -> str:
    """A text as it is kept."""
    return cut(clean(text), limit)
