"""What a receipt's verdict is called, and how it looks."""

from __future__ import annotations

from collections.abc import Mapping

VERDICTS: Mapping[str, tuple[str, str]] = {
    "accepted": ("good", "Accepted"),
    "duplicate": ("idle", "Duplicate"),
    "handshake": ("idle", "Handshake"),
    "observed": ("warn", "Observed"),
    "rejected": ("bad", "Rejected"),
}
"""Each verdict with the kind of its badge and its word."""
