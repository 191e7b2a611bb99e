"""How long messages of Apprise's services may be: what its plugins say, corrected where that is not so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.texts.cutting import Unit

from hub_notifications import incidents

MAX_TITLE = 200
_LIMITS: Mapping[str, tuple[int | None, int]] = {
    "ntfy": (200, 3_800),  # longer ones become a file
    "ntfys": (200, 3_800),
    "discord": (0, 2_000),  # its title is a line of the text, and none that stands out
    "workflow": (None, 10_000),  # 28 KB a card; Apprise cuts at 1,000
    "workflows": (None, 10_000),
    "pagerduty": (incidents.MAX_SUMMARY, 20_000),  # of the details; Apprise has none and cuts the summary
    "opsgenie": (130, 15_000),
}
"""Title (None: Apprise's) and text."""
_UNITS: Mapping[str, Unit] = {"ntfy": "bytes", "ntfys": "bytes", "tgram": "utf16"}
"""What services count, where that is not characters."""


def limits_of(plugin: Any) -> tuple[int, int]:
    """Characters of title and text that one message takes; a title of 0 becomes a part of the text."""
    title, text = _LIMITS.get(service_of(plugin), (None, int(plugin.body_maxlen)))
    title = int(plugin.title_maxlen) if title is None else title
    if plugin.overflow_amalgamate_title and title > 0:
        title = min(title, MAX_TITLE)
        text -= title + int(plugin.overflow_buffer)
    return title, text


def unit_of(plugin: Any) -> Unit:
    """What the service counts."""
    return _UNITS.get(service_of(plugin), "characters")


def is_corrected(plugin: Any) -> bool:
    """Whether the limits of a service are ours and not Apprise's."""
    return service_of(plugin) in _LIMITS


def service_of(plugin: Any) -> str:
    """The scheme that a plugin goes by. Some put the one of their HTTP address in its place (Mattermost: https)."""
    own: list[str] = []
    for one in (plugin.secure_protocol, plugin.protocol):
        if isinstance(one, str):
            own.append(one)
        elif isinstance(one, tuple | list | set):  # Kodi has the number of a port there
            own += one
    scheme = str(plugin.schema)
    return scheme if scheme in own or not own else own[0]
