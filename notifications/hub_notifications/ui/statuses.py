"""What the status of an attempt is called, and how it looks."""

from __future__ import annotations

from collections.abc import Mapping

STATUSES: Mapping[str, tuple[str, str]] = {
    "pending": ("warn", "Pending"),
    "sending": ("busy", "Sending"),
    "sent": ("good", "Sent"),
    "failed": ("warn", "Failed, tried again"),
    "dead": ("bad", "Given up"),
    "merged": ("idle", "Told in a digest"),
}
"""Each status of an attempt with the kind of its badge and its words."""
