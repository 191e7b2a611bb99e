"""What a sender gets of a delivery: the message, and which alert it is about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.channels import Attachment, Outgoing, Status
from hub.settings import Settings

from hub_notifications.shapes import Rendered


def outgoing(
    address: str,
    message: Rendered,
    delivery: Mapping[str, Any],
    document: Mapping[str, Any],
    settings: Settings,
    files: tuple[Attachment, ...] = (),
) -> Outgoing:
    """The message for an address. Its key is the first alert's; its id is the same in every attempt."""
    first, links = (document.get("alerts") or [{}])[0], document.get("links", {})
    own = first.get("links", {})
    is_one = len(document.get("alerts", ())) == 1
    status: Status = "resolved" if first.get("status") == "resolved" else "firing"
    is_open = status == "firing" and bool(first.get("id")) and document.get("reason") != "test"
    return Outgoing(
        address, message.title if message.has_title else "", message.text, message.format,
        sender=settings.alerts_from, key=first.get("dedup_key", ""),
        status=status, severity=first.get("severity", "error"),
        ident=f"{delivery['notification_id']}/{delivery['channel_id']}", attempt=delivery["attempt"],
        acknowledge=delivery["notification_id"] if is_open else "",
        attachments=files, link=(own.get("run") or own.get("alert", "")) if is_one else links.get("dashboard", ""),
    )  # fmt: skip
