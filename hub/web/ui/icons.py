"""The dashboard's icons: one stroke path each on a 16 by 16 grid, drawn inline: no request, no font."""

from __future__ import annotations

from types import MappingProxyType

from markupsafe import Markup

_RING = "M8 1.75a6.25 6.25 0 1 1 0 12.5a6.25 6.25 0 1 1 0-12.5z"
_CROSS = "M5.75 5.75l4.5 4.5M10.25 5.75l-4.5 4.5"
_SHIELD = "M8 1.75l5.25 2v4c0 3.25-2.25 5.5-5.25 6.5c-3-1-5.25-3.25-5.25-6.5v-4z"

PATHS: MappingProxyType[str, str] = MappingProxyType(
    {
        # States: a different outline each, so that they differ without colour.
        "SCHEDULED": f"{_RING}M8 4.5V8l2.5 1.75",
        "PENDING": "M4.5 2h7M4.5 14h7M5 2c0 3.5 3 4 3 6s-3 2.5-3 6M11 2c0 3.5-3 4-3 6s3 2.5 3 6",
        "RUNNING": f"{_RING}M6.5 5.25v5.5L10.75 8z",
        "PAUSED": f"{_RING}M6.25 5.5v5M9.75 5.5v5",
        "CANCELLING": "M8 1.75a6.25 6.25 0 0 1 6.25 6.25M8 14.25A6.25 6.25 0 0 1 1.75 8" + _CROSS,
        "COMPLETED": f"{_RING}M5 8.25l2.1 2.1L11 6",
        "FAILED": _RING + _CROSS,
        "CRASHED": "M9 1.75L3.25 9H7.5L6.75 14.25L12.75 6.75H8.25z",
        "CANCELLED": f"{_RING}M3.75 12.25l8.5-8.5",
        # Pages.
        "users": "M8 2.25a2.75 2.75 0 1 1 0 5.5a2.75 2.75 0 1 1 0-5.5z"
        "M2.75 13.75c0-2.75 2.25-4 5.25-4s5.25 1.25 5.25 4",
        "audit": f"{_SHIELD}M5.5 8l1.75 1.75L10.5 6.25",
        "home": "M2 7.25L8 2l6 5.25M3.75 6v7.75h8.5V6M6.5 13.75v-4h3v4",
        "runs": f"{_RING}M6.5 5.25v5.5L10.75 8z",
        "artifacts": "M3.25 1.75h6.5l3 3v9.5h-9.5zM9.5 1.75v3.25h3.25M5.75 8h4.5M5.75 11h4.5",
        "assets": "M8 1.75c3.5 0 5.5 1 5.5 2.25s-2 2.25-5.5 2.25s-5.5-1-5.5-2.25s2-2.25 5.5-2.25"
        "M2.5 4v8c0 1.25 2 2.25 5.5 2.25s5.5-1 5.5-2.25v-8M2.5 8c0 1.25 2 2.25 5.5 2.25s5.5-1 5.5-2.25",
        "deployments": "M8 1.75l5.75 3v6.5L8 14.25l-5.75-3v-6.5zM2.25 4.75L8 7.75l5.75-3M8 7.75v6.5",
        "sources": "M2 8h7.5M6.75 5.25L9.5 8l-2.75 2.75M9 2.25h4.75v11.5H9",
        "endpoints": "M7 2.25H2.25v11.5H7M6 8h7.5M10.75 5.25L13.5 8l-2.75 2.75",
        "receipts": "M3.25 1.75h9.5v12.5l-2.35-1.5L8 14.25l-2.4-1.5l-2.35 1.5zM5.75 5.25h4.5M5.75 8.25h4.5",
        "bookmarks": "M4.25 1.75h7.5v12.5L8 11.25l-3.75 3z",
        "events": "M1.75 8h3l2-5.25l2.75 10.5L11.5 8h2.75",
        "automations": "M9 1.75L3.25 9H7.5L6.75 14.25L12.75 6.75H8.25z",
        "alerts": "M8 2.25a4 4 0 0 0-4 4c0 4-1.5 5-1.5 5h11s-1.5-1-1.5-5a4 4 0 0 0-4-4zM6.75 13.5a1.4 1.4 0 0 0 2.5 0",
        "channels": "M2.25 7v2.5h2l6 3V3.5l-6 3zM12.25 6.25a2.5 2.5 0 0 1 0 3.5",
        "routes": "M2 8h4M6 8c3 0 2-4.5 5-4.5h2.5M6 8c3 0 2 4.5 5 4.5h2.5M11.75 1.75l1.75 1.75l-1.75 1.75"
        "M11.75 10.75l1.75 1.75l-1.75 1.75",
        "variables": "M5 2.25c-3 0 0 5.75-3 5.75c3 0 0 5.75 3 5.75M11 2.25c3 0 0 5.75 3 5.75c-3 0 0 5.75-3 5.75"
        "M6.25 6l3.5 4M9.75 6l-3.5 4",
        "workers": "M2.25 2.75h11.5v4H2.25zM2.25 9.25h11.5v4H2.25zM4.75 4.75h.5M4.75 11.25h.5",
        "planes": "M4.75 12.5a3 3 0 0 1-.25-6a3.9 3.9 0 0 1 7.4.6a2.75 2.75 0 0 1-.15 5.4z",
        "plugins": "M5.5 1.75v3.75M10.5 1.75v3.75M3.5 5.5h9v2.25a4.5 4.5 0 0 1-9 0zM8 12.25v2",
        # Signs.
        "warning": "M8 2L14.5 13.5h-13zM8 6.5v3.25M8 11.5v.25",
        "info": f"{_RING}M8 7.25v4M8 4.75v.25",
        "shield": f"{_SHIELD}M5.75 8l1.6 1.6L10.5 6.25",
        "unshielded": f"{_SHIELD}M6.25 6.25l3.5 3.5M9.75 6.25l-3.5 3.5",
        "lock": "M3.5 7h9v6.75h-9zM5.25 7V4.75a2.75 2.75 0 0 1 5.5 0V7",
        "menu": "M2 4h12M2 8h12M2 12h12",
        "theme": f"{_RING}M8 1.75v12.5",
        "empty": "M2.25 9.25h3.5l1 1.75h2.5l1-1.75h3.5M4.25 3.25h7.5l2 6v4h-11.5v-4z",
    }
)  # fmt: skip


def icon(name: str) -> Markup:
    """The icon as inline SVG; the text beside it says what it means, so it is hidden from screen readers."""
    shape = PATHS.get(name, PATHS["info"])
    return Markup(
        '<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">'
        '<path d="{}"/></svg>'
    ).format(shape)
