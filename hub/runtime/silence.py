"""The alarm of sources that nobody sends to any more: once for each silence, and over at the next request.

When a provider gives up on an address no code of ours runs; only the silence shows it. Whether a source is silent is
read from its receipts, so that neither a hub that was away nor a relay that lags raises a false alarm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.errors import HubError
from hub.plugins import Loop
from hub.runtime.commands import Command, apply_in
from hub.store import events, silence
from hub.store.base import Store, Tx
from hub.types import SECOND, Actor, Id, Micros, Scope, rfc3339

ACTOR = Actor("system", "silence")
BATCH = 100


@dataclass(slots=True)
class Silence:
    """One per upkeep process; what one has noted the others leave."""

    store: Store
    interval: float = 1.0
    _after: Id = ""
    _seen: dict[Id, Micros] = field(default_factory=dict)
    """Up to when the receipts of sources whose alarm is on were looked at."""

    def step(self) -> bool:
        """Look at the sources whose time has come; True when there are more of them."""
        with self.store.read() as tx:
            rows = silence.to_look_at(tx, after=self._after, limit=BATCH)
            changed = [row for row in rows if self._is_news(tx, row)]
        for row in changed:
            with self.store.write() as tx:
                _look(tx, row)
        is_full = len(rows) == BATCH
        self._after = rows[-1]["id"] if is_full else ""
        return is_full

    def _is_news(self, tx: Tx, row: Mapping[str, Any]) -> bool:
        """Whether there is something to note; of an alarm that is on, by what came since the last look."""
        if row["silent_at"] is None or not silence.is_waiting(row):
            self._seen.pop(row["id"], None)
            return True
        since = max(self._seen.get(row["id"], 0), row["heard_at"])
        self._seen[row["id"]] = tx.now - silence.LATE
        return silence.last_heard(tx, row, since=since) is not None

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("silence", self.step, interval=self.interval)


def _look(tx: Tx, row: Mapping[str, Any]) -> None:
    heard = silence.last_heard(tx, row, since=row["heard_at"])
    if row["silent_at"] is not None:
        if not silence.is_waiting(row):
            _end(tx, row, row["heard_at"], "it is not watched, or from a later time on")
        elif heard is not None:
            _end(tx, row, heard, "a request came")
    elif heard is not None and heard + row["alert_after_s"] * SECOND > tx.now:
        silence.note(tx, row, heard_at=heard, silent_at=None)
    else:
        _begin(tx, row, heard or row["heard_at"])


def _begin(tx: Tx, row: Mapping[str, Any], since: Micros) -> None:
    if not silence.note(tx, row, heard_at=since, silent_at=tx.now):
        return
    scope = Scope(row["workspace_id"], ACTOR)
    events.append(
        tx, scope, "hub.source.silent", subject=row["id"], name=row["name"], since=since, after_s=row["alert_after_s"]
    )
    told = {
        "title": f"Nothing came in at the webhook source {row['name']}",
        "body": f"Since {rfc3339(since)[:19]}Z it has accepted no request. Has the provider given up on the address?",
        "about": f"{_about(row)}/silent", "occurrence": str(tx.now),
    }  # fmt: skip
    _tell(tx, Command("alert.raise", scope, args=told, via="system"))


def _end(tx: Tx, row: Mapping[str, Any], heard_at: Micros, reason: str) -> None:
    if not silence.note(tx, row, heard_at=heard_at, silent_at=None):
        return
    scope = Scope(row["workspace_id"], ACTOR)
    events.append(
        tx, scope, "hub.source.heard", subject=row["id"], name=row["name"], since=row["silent_at"], reason=reason
    )
    _tell(tx, Command("alert.resolve", scope, args={"about": _about(row)}, via="system"))


def _about(row: Mapping[str, Any]) -> str:
    return f"source/{row['id']}"


def _tell(tx: Tx, command: Command) -> None:
    try:
        apply_in(tx, command)
    except HubError as error:
        # A hub without the plugin of alerts has the event.
        if error.code != "unsupported":
            raise
