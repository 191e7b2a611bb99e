"""What a flow does in Slack. A task that is tried again finds the message of its last try, and posts none twice.

Slack documents no idempotency key. A message bears the call's in its metadata, which people do not see;
only a try after the first one looks for it, in the history of its channel or thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from hub import connection, runtime_context, task
from hub.errors import UsageError
from pydantic import JsonValue
from typing_extensions import TypedDict

from hub_plugins.slack.blocks import without_buttons
from hub_plugins.slack.client import Client, SlackError
from hub_plugins.slack.settings import Slack

MARK = "hubspoke_task"
_LOOK_BACK = timedelta(days=1)
_LARGEST = 1024**3
Blocks = Sequence[Mapping[str, JsonValue]]

_tried_again = partial(
    task, retries=4, retry_delay_seconds=(2, 10, 60, 300), retry_jitter_factor=0.5,
    retry_on=("rate_limited", "infrastructure", "timeout"),
)  # fmt: skip


class Posted(TypedDict):
    """A message: `channel` and `ts` name it in every other call."""

    channel: str
    ts: str


class Uploaded(TypedDict):
    """A file: its id and where people see it."""

    id: str
    link: str


@_tried_again(name="slack-post-message")
def post_message(
    channel: str, text: str = "", *, blocks: Blocks | None = None, thread: str = "", broadcast: bool = False,
    connection: str = "slack",
) -> Posted:  # fmt: skip
    """Post to a channel (its id, or a name for public ones), or to the thread of the message `thread`, a `ts`.

    `text` is Slack's mrkdwn; with `blocks` it is what notifications show. `broadcast`: a reply that the channel sees
    too. Raises SlackError.
    """
    if not text and not blocks:
        raise UsageError("a message needs a text or blocks")
    client, mark, again = _client(connection), *_mark()
    found = _posted_before(client, channel, thread, mark) if again else None
    if found is None:
        metadata = {"event_type": MARK, "event_payload": {"id": mark}} if mark else None
        found = client.write(
            "chat.postMessage", channel=channel, text=text, blocks=list(blocks) if blocks else None,
            thread_ts=thread or None, reply_broadcast=True if broadcast else None, metadata=metadata,
        )  # fmt: skip
    return Posted(channel=found.get("channel") or channel, ts=found["ts"])


@_tried_again(name="slack-update-message")
def update_message(
    channel: str, ts: str, text: str = "", *, blocks: Blocks | None = None, connection: str = "slack"
) -> Posted:
    """Write a message of the app anew; `channel` is the id that `post_message` gave. Raises SlackError."""
    found = _client(connection).write(
        "chat.update", channel=channel, ts=ts, text=text, blocks=list(blocks) if blocks else None
    )
    return Posted(channel=found["channel"], ts=found["ts"])


@_tried_again(name="slack-react")
def react(channel: str, ts: str, emoji: str, *, connection: str = "slack") -> None:
    """React to a message, as with `white_check_mark`. One that is there already is well. Raises SlackError."""
    try:
        _client(connection).write("reactions.add", channel=channel, timestamp=ts, name=emoji.strip(":"))
    except SlackError as error:
        if error.error != "already_reacted":
            raise


@_tried_again(name="slack-upload-file")
def upload_file(
    channel: str, name: str, data: bytes | str, *, title: str = "", comment: str = "", thread: str = "",
    connection: str = "slack",
) -> Uploaded:  # fmt: skip
    """Share a file in a channel (its id). Raises SlackError.

    A file bears no mark: a second try takes a file of the app's with this name and size, shared since the first one
    began, for its own.
    """
    body = data.encode() if isinstance(data, str) else bytes(data)
    if not 0 < len(body) <= _LARGEST or PurePosixPath(name).name != name:
        raise UsageError(f"{name[:100]!r} with {len(body)} bytes is no file", hint="Give a name without /, and bytes.")
    client, (_, again) = _client(connection), _mark()
    found = _shared_before(client, channel, name, len(body)) if again else None
    if found is None:
        place = client.read("files.getUploadURLExternal", filename=name, length=len(body))
        client.upload(place["upload_url"], body)
        files = [{"id": place["file_id"], "title": title or name}]
        found = client.write(
            "files.completeUploadExternal", files=files, channel_id=channel, initial_comment=comment or None,
            thread_ts=thread or None,
        )["files"][0]  # fmt: skip
    return Uploaded(id=found["id"], link=found.get("permalink", ""))


@_tried_again(name="slack-respond")
def respond(
    response_url: str, text: str = "", *, blocks: Blocks | None = None, replace: bool = False,
    in_channel: bool = False, connection: str = "slack",
) -> None:  # fmt: skip
    """Answer a slash command or an interaction: to whoever sent it, or `in_channel`; `replace` writes the message with
    the button anew. Slack takes five answers within 30 minutes, and a try that was cut off may be seen twice unless it
    replaces. Raises SlackError.
    """
    document: dict[str, Any] = {"response_type": "in_channel" if in_channel else "ephemeral", "text": text}
    if replace:
        document["replace_original"] = True
    if blocks:
        document["blocks"] = list(blocks)
    _client(connection).respond(response_url, document)


@_tried_again(name="slack-show-acknowledged")
def show_acknowledged(interaction: Mapping[str, Any], *, connection: str = "slack") -> None:
    """Write the message of an alert whose button was pressed anew: without buttons, and with who looks after it.

    `interaction` is the payload of a `block_actions` request. Raises SlackError, UsageError.
    """
    try:
        message, who, url = interaction["message"], interaction["user"]["id"], interaction["response_url"]
        blocks = without_buttons(message["blocks"], f"Acknowledged by <@{who}>")
    except (KeyError, TypeError):
        raise UsageError(
            "this is no payload of a button in a message", hint='Give "=body" of slack.block_actions.'
        ) from None
    document = {"replace_original": True, "text": str(message.get("text", "")), "blocks": blocks}
    _client(connection).respond(str(url), document)


def _posted_before(client: Client, channel: str, thread: str, mark: str) -> dict[str, Any] | None:
    given: dict[str, str | int] = {"channel": channel, "oldest": _since(), "limit": 200, "include_all_metadata": "true"}
    method = "conversations.replies" if thread else "conversations.history"
    found = client.read(method, **given, **({"ts": thread} if thread else {}))
    for one in found.get("messages", ()):
        told = one.get("metadata") or {}
        if told.get("event_type") == MARK and (told.get("event_payload") or {}).get("id") == mark:
            return {"channel": channel, "ts": one["ts"]}
    return None


def _shared_before(client: Client, channel: str, name: str, size: int) -> dict[str, Any] | None:
    found = client.read("files.list", channel=channel, ts_from=_since(), count=100)
    ours = client.read("auth.test")["user_id"]
    same = (one for one in found.get("files", ()) if (one.get("name"), one.get("size")) == (name, size))
    return next((one for one in same if one.get("user") == ours), None)


def _since() -> str:
    return f"{(datetime.now(UTC) - _LOOK_BACK).timestamp():.6f}"


def _mark() -> tuple[str, bool]:
    context = runtime_context()
    if context is None or context.task_run_id is None:
        return "", False
    return context.idempotency_key, context.attempt > 1 or context.task_attempt > 1


def _client(name: str) -> Client:
    return Client(connection(name).settings_as("slack", Slack))
