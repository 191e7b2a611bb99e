"""The kind of connection, the actions, and the scheme of channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hub.channels import ChannelKind
from hub.connections import ConnectionKind
from hub.errors import PermanentError, TransientError
from hub.hookspecs import hookimpl

from hub_plugins.slack import alerts
from hub_plugins.slack.blocks import LONGEST
from hub_plugins.slack.settings import Slack

if TYPE_CHECKING:
    from hub.actions import Action


def check(settings: Slack) -> str:
    """Ask Slack whose token it is."""
    from hub_plugins.slack.client import Client, SlackError  # noqa: PLC0415 - few processes ask

    try:
        found = Client(settings).read("auth.test")
    except SlackError as error:
        passes = error.error_class is not None or error.status is not None
        raise (TransientError if passes else PermanentError)(str(error)) from None
    return f"Slack takes it: {found.get('user')} in {found.get('team')}"


@hookimpl
def hub_connection_kinds() -> Iterator[ConnectionKind]:
    """Give the kind `slack`."""
    yield ConnectionKind("slack", "The bot of a Slack app.", Slack, check)


@hookimpl
def hub_channel_kinds() -> Iterator[ChannelKind]:
    """Give the scheme `slack-app`."""
    yield ChannelKind(
        "slack-app", "A Slack app's bot, whose messages have a button to acknowledge.", alerts.send, alerts.check,
        example="slack-app://xoxb-TOKEN@C0123456789", format="slack", max_title=150, max_text=LONGEST - 200,
    )  # fmt: skip


@hookimpl
def hub_actions() -> Iterator[Action]:
    """Give what a flow or an automation can do in Slack."""
    from hub.actions import Action  # noqa: PLC0415 - loaded where actions are asked for

    from hub_plugins.slack import tasks  # noqa: PLC0415

    yield Action("post_message", tasks.post_message, "Post a message, or a reply in a thread.", effect="once")
    yield Action("update_message", tasks.update_message, "Write a message anew.", effect="again")
    yield Action("react", tasks.react, "React to a message.", effect="once")
    yield Action("upload_file", tasks.upload_file, "Share a file.", effect="once")
    yield Action("respond", tasks.respond, "Answer a slash command or an interaction.", effect="again")
    yield Action(
        "show_acknowledged", tasks.show_acknowledged, "Say in an alert's message who looks after it.", effect="again"
    )
