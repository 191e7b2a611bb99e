"""Messages about alerts in Slack's Block Kit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub.channels import Outgoing

ACKNOWLEDGE = "hub_acknowledge"
"""The `action_id` of the button; its value is what the hub's `alert.acknowledge` takes."""
LONGEST = 2_900
_COLOURS = {"info": "large_blue_circle", "warning": "warning", "error": "red_circle", "critical": "rotating_light"}


def alert_blocks(message: Outgoing) -> list[dict[str, Any]]:
    """The text, a link to the hub, and a button while there is something to acknowledge."""
    sign = "white_check_mark" if message.status == "resolved" else _COLOURS.get(message.severity, "red_circle")
    head = f":{sign}: *{escaped(message.title)}*" if message.title else f":{sign}:"
    text = message.text if message.format == "slack" else escaped(message.text)
    blocks: list[dict[str, Any]] = [
        {"type": "section", "text": {"type": "mrkdwn", "text": f"{head}\n{text}"[: LONGEST + 90]}}
    ]
    buttons = []
    if message.acknowledge:
        buttons.append(_button("Acknowledge", action_id=ACKNOWLEDGE, value=message.acknowledge, style="primary"))
    if message.link:
        buttons.append(_button("Open", action_id="hub_open", url=message.link))
    return [*blocks, {"type": "actions", "elements": buttons}] if buttons else blocks


def without_buttons(blocks: Iterable[Mapping[str, Any]], note: str) -> list[dict[str, Any]]:
    """The blocks of a message without what can be pressed, but for links, and with a note below."""
    kept = []
    for block in blocks:
        if block["type"] != "actions":
            kept.append(dict(block))
            continue
        links = [one for one in block["elements"] if one.get("url")]
        kept += [{**block, "elements": links}] if links else []
    return [*kept, {"type": "context", "elements": [{"type": "mrkdwn", "text": note}]}]


def escaped(text: str) -> str:
    """Plain text as Slack's markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _button(text: str, **more: str) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, **more}
