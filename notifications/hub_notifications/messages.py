"""What an alert says. Pure: a run, its last log lines and a link in, a title and a text out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_TITLE = 200
MAX_TEXT = 3_500
"""Under the limit of the services people use most (Telegram 4,096, Discord 2,000 is split by Apprise)."""
_MAX_ERROR = 1_000
_LOG_LINES = 8
_MAX_LINE = 200
_WORDS = {
    "run-failed": "failed",
    "run-timed-out": "was over its time limit",
    "run-crashed": "crashed",
    "channel-disabled": "was switched off",
}
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Message:
    """A title of one line and a text of some lines, both bounded."""

    title: str
    text: str


def run_message(kind: str, run: Mapping[str, Any], logs: Sequence[Mapping[str, Any]], link: str) -> Message:
    """The message about a run that ended badly."""
    name = run["deployment_name"] or run["flow_name"]
    error = _error(run["error_type"] or "", run["error_message"] or "") or run["state_message"]
    lines = [
        f"Flow: {run['flow_name']}",
        f"Run: {run['name']} ({run['id']})",
        f"State: {run['state_name']}, attempt {run['attempt']}",
        f"Error: {error[:_MAX_ERROR] or 'none given'}",
    ]
    if logs:
        lines += ["", "Last log lines:"]
        lines += [f"  {str(line['message'])[:_MAX_LINE]}" for line in logs[-_LOG_LINES:]]
    text = safe("\n".join(lines), MAX_TEXT - len(link) - 2)
    return Message(one_line(f"{name} {_WORDS.get(kind, kind)}"), f"{text}\n\n{link}" if link else text)


def _error(kind: str, message: str) -> str:
    """Type and text, once each: the text may begin with the type already."""
    return message if message.startswith(kind) else f"{kind}: {message}"


def plain_message(title: str, text: str) -> Message:
    """A message of the hub about itself."""
    return Message(one_line(title), safe(text, MAX_TEXT))


def one_line(text: str) -> str:
    """Fit for a subject line."""
    return safe(" ".join(text.split()), MAX_TITLE)


def safe(text: str, limit: int) -> str:
    """Without control characters and without what makes a service ping people (`<!channel>`, `@everyone`)."""
    text = _CONTROL.sub("\ufffd", text).replace("\r", "")
    text = text.replace("<!", "<\u200b!").replace("<@", "<\u200b@")
    text = re.sub(r"@(everyone|here|channel|all)\b", "@\u200b\\1", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
