"""The preset that a kept request points to, where the one of its source did not verify it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.runtime.presets import installed
from hub.store import dismissals
from hub.store.base import Tx
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.suggest import Suggestion, suggest

UNVERIFIED = ("rejected", "observed")


def suggested(tx: Tx, receipt: Mapping[str, Any], source: Mapping[str, Any]) -> Suggestion | None:
    """What an unverified receipt's headers speak for, unless it is the preset that its source has already, or was
    dismissed."""
    if receipt["verdict"] not in UNVERIFIED:
        return None
    headers = header_pairs((name, value) for name, value in receipt["headers"])
    hints = suggest(installed(), WebhookRequest(receipt["method"], "", headers, b""))
    if not hints or source["preset"] in {hint.preset for hint in hints}:
        return None
    # What is less likely is not tried in its place: somebody has looked at the request.
    return None if hints[0].preset in dismissals.of(tx, source["id"], "preset") else hints[0]
