"""The scheme `slack-app`: alerts as messages of an app's bot, with a button that acknowledges them.

`slack-app://xoxb-TOKEN@C0123456789`: the bot's token, and the id of a channel that the bot is in.
"""

from __future__ import annotations

import re
from typing import Any

from hub.channels import Outgoing, Sent
from hub.errors import PermanentError, TransientError, UsageError

from hub_plugins.slack.blocks import alert_blocks
from hub_plugins.slack.client import Client, SlackError
from hub_plugins.slack.settings import API, Slack

MARK = "hubspoke_alert"
_ADDRESS = re.compile(r"slack-app://(xox[a-z]-[A-Za-z0-9-]{1,200})@([CGD][A-Z0-9]{2,30})")
_LOOK_BACK = 100


def check(address: str) -> None:
    """Whether an address can be used. Raises UsageError, which repeats nothing of it."""
    _read(address)


def send(message: Outgoing) -> Sent:
    """Post the message, unless an attempt before this one has. Raises TransientError, PermanentError."""
    try:
        settings, channel = _read(message.address)
    except UsageError as error:
        raise PermanentError(error.detail) from None
    client = Client(settings)
    try:
        found = _sent_before(client, channel, message.ident) if message.attempt > 1 else None
        if found is None:
            metadata = {"event_type": MARK, "event_payload": {"id": message.ident}}
            found = client.write(
                "chat.postMessage", channel=channel, text=message.title or message.text[:200],
                blocks=alert_blocks(message), metadata=metadata, unfurl_links=False,
            )  # fmt: skip
    except SlackError as error:
        raise _judged(error) from None
    return Sent(str(found["ts"]), 200)


def _sent_before(client: Client, channel: str, ident: str) -> dict[str, Any] | None:
    try:
        found = client.read("conversations.history", channel=channel, limit=_LOOK_BACK, include_all_metadata="true")
    except SlackError as error:
        if error.error == "missing_scope":  # an alert that comes twice is better than one that does not come
            return None
        raise
    for one in found.get("messages", ()):
        told = one.get("metadata") or {}
        if told.get("event_type") == MARK and (told.get("event_payload") or {}).get("id") == ident:
            return dict(one)
    return None


def _judged(error: SlackError) -> TransientError | PermanentError:
    passes = error.error_class is not None or error.status == 429 or (error.status or 0) >= 500
    if passes:
        return TransientError(str(error), retry_after=error.retry_after, status=error.status)
    return PermanentError(str(error), status=error.status)


def _read(address: str) -> tuple[Slack, str]:
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise UsageError(
            "the slack-app:// address is not TOKEN@CHANNEL",
            hint="Write slack-app://xoxb-...@C0123456789, the bot's token and the channel's id.",
        )
    return Slack.model_validate({"token": found[1], "timeout": 15.0, "url": API}), found[2]
