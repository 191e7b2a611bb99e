"""How long messages of Apprise's services may be: what its plugins say, corrected where that is not so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub_notifications import incidents

MAX_TITLE = 200
_LIMITS: Mapping[str, tuple[int | None, int]] = {
    "ntfy": (200, 3_800),  # bytes, and longer ones become a file
    "ntfys": (200, 3_800),
    "workflow": (None, 10_000),  # 28 KB a card; Apprise cuts at 1,000
    "workflows": (None, 10_000),
    "pagerduty": (incidents.MAX_SUMMARY, 20_000),  # of the details; Apprise has none and cuts the summary
    "opsgenie": (130, 15_000),
}
"""Title (None: Apprise's) and text."""


def limits_of(plugin: Any) -> tuple[int, int]:
    """Characters of title and text that one message takes; a title of 0 becomes a part of the text."""
    title, text = _LIMITS.get(plugin.schema, (None, int(plugin.body_maxlen)))
    title = int(plugin.title_maxlen) if title is None else title
    if plugin.overflow_amalgamate_title and title > 0:
        title = min(title, MAX_TITLE)
        text -= title + int(plugin.overflow_buffer)
    return title, text


def corrected(scheme: str) -> bool:
    """Whether the limits of a scheme are ours and not Apprise's."""
    return scheme in _LIMITS
