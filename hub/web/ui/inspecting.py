"""A kept request for reading: its verdict in sentences, its bytes as JSON, text or hex."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hub.web.ui import show
from hub.webhooks.advice import advice

SHOWN_TEXT = 65_536
SHOWN_HEX = 4096
VIEWS = {"pretty": "JSON", "text": "Text", "hex": "Hex"}


def in_words(receipt: Mapping[str, Any], source: Mapping[str, Any] | None, preset: str, secret: str) -> list[str]:
    """Why a request got its verdict, and what to do about a bad one. `preset` and `secret` are names for people."""
    reason = str(receipt["reason"])
    match receipt["verdict"]:
        case "accepted" if receipt["replay_of"]:
            return [
                f"It was {reason or 'replayed'}. The bytes are those of the other receipt; nothing was verified again."
            ]
        case "accepted" if secret:
            return [f"It is genuine: it fits the secret {secret} of the source, in the way of {preset}."]
        case "accepted" if source and source["verify_none"]:
            return ["Nothing was verified: this source takes whatever comes."]
        case "accepted":
            return [f"It is genuine, as far as {preset} lets one tell."]
        case "handshake":
            return [f"{preset} asked whether somebody is at this address, and was answered. Nothing follows from it."]
        case "observed":
            said = f"It was not verified: {reason}." if reason else "It was not verified."
            return [said, advice(reason), "It went on all the same, because the source only observes."]
        case "rejected":
            said = f"It was refused: {reason}." if reason else "It was refused."
            return [said, advice(reason, receipt["answer_status"])]
    return [reason] if reason else []


def body_of(receipt: Mapping[str, Any], wanted: str) -> dict[str, Any]:
    """The bytes as the page shows them, which views there are, and how much of them this one shows."""
    body: bytes = receipt["body"] or b""
    text = show.readable(body)
    pretty = None if text is None else _pretty(body)
    views = [name for name, there in (("pretty", pretty), ("text", text), ("hex", body)) if there is not None]
    view = wanted if wanted in views else views[0]
    limit = SHOWN_HEX if view == "hex" else SHOWN_TEXT
    whole = {"pretty": pretty or "", "text": text or ""}.get(view)
    shown = show.hexdump(body[:limit]) if whole is None else whole[:limit]
    cut = len(body) > limit if whole is None else len(whole) > limit
    return {"text": shown, "view": view, "views": [(name, VIEWS[name]) for name in views], "cut": cut, "limit": limit}


def _pretty(body: bytes) -> str | None:
    """JSON with line ends and indents; None for what is no JSON object or array."""
    try:
        value = json.loads(body)
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else None
    except (ValueError, RecursionError):
        return None
