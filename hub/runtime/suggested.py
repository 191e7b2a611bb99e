"""The preset that a kept request points to, where the one of its source did not verify it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.runtime.presets import installed
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.suggest import Suggestion, suggest

UNVERIFIED = ("rejected", "observed")


def suggested(receipt: Mapping[str, Any], preset: str) -> Suggestion | None:
    """What an unverified receipt's headers speak for, unless it is the `preset` that its source has already."""
    if receipt["verdict"] not in UNVERIFIED:
        return None
    headers = header_pairs((name, value) for name, value in receipt["headers"])
    hints = suggest(installed(), WebhookRequest(receipt["method"], "", headers, b""))
    return None if not hints or preset in {hint.preset for hint in hints} else hints[0]
