"""The log of a failed run as a file of its message, where the message shows less of it and the service takes files."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hub.channels import Attachment
from hub.store.base import Store
from hub.types import Scope, rfc3339

from hub_notifications import firing
from hub_notifications.messages import MAX_LINE

MAX_LINES = 500
MAX_BYTES = 65_536
_REASONS = ("firing", "more", "escalation")
"""Messages that may be the first that somebody gets of a failure; not its end, not digests, not repeats."""
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")


def log_of(store: Store, scope: Scope, document: Mapping[str, Any], *, shown: int) -> tuple[Attachment, ...]:
    """The last lines of the log of the one failed run that a message tells of; nothing where it shows them all.

    `shown`: how many of the run's last lines are in the message.
    """
    run_id = _run_of(document)
    if not run_id:
        return ()
    with store.read() as tx:
        lines = firing.last_logs(tx, scope, run_id, count=MAX_LINES + 1)
    if len(lines) <= shown and all(len(str(one["message"])) <= MAX_LINE for one in lines):
        return ()
    run = document["alerts"][0]["run"]
    name = _OTHER.sub("-", str(run.get("name") or run_id)).strip("-.")[:80] or run_id
    return (Attachment(f"{name}.log", written(lines)),)


def written(lines: Sequence[Mapping[str, Any]]) -> bytes:
    """The last lines, as many as there is room for, with a note of what is left out before them. UTF-8."""
    texts = [
        f"{rfc3339(one['at'])} {logging.getLevelName(one['level'])} {one['message']}\n".encode(errors="replace")
        for one in lines
    ]  # fmt: skip
    note = b"... earlier lines are left out ...\n"
    kept: list[bytes] = []
    room = MAX_BYTES - len(note)
    for text in reversed(texts[-MAX_LINES:]):
        if len(text) > room:
            break
        kept.append(text)
        room -= len(text)
    if not kept and texts:  # one line that is longer than all: its end
        kept = [texts[-1][-room:].decode(errors="ignore").encode()]
    return (note if len(kept) < len(texts) else b"") + b"".join(reversed(kept))


def _run_of(document: Mapping[str, Any]) -> str:
    """The failed run of a message about one alert; empty where there is none."""
    alerts = document.get("alerts", ())
    if document.get("reason") not in _REASONS or len(alerts) != 1 or document["counts"]["left_out"] > 0:
        return ""
    alert = alerts[0]
    return str((alert["run"] or {}).get("id") or "") if alert["status"] == "firing" else ""
