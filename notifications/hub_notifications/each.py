"""A message for a service that keeps incidents: one event an alert, by the alert's own key, however many it tells.

A few seconds' worth of events are sent at a time; how far they came is kept with the attempt, which is put back for the
rest. What is sent again after a kill is the same event about the same key, so it changes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.channels import Outgoing, Sent
from hub.errors import DeclinedError, TransientError
from hub.store.base import Store, Tx
from hub.store.tables import Alert, Delivery, NotificationAlert
from hub.types import SECOND, Micros
from sqlalchemy import select

ALERTS = Alert.__table__
DELIVERIES = Delivery.__table__
TOLD = NotificationAlert.__table__
_PAGE = 20
_AT_ONCE_S = 5.0
"""With the timeout of the last event, less than what a claim allows for one attempt."""
_PAUSE_S = 10.0
_log = logging.getLogger("hub.alerts")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a message came."""

    cursor: str
    """The last alert that is done."""
    sent: Sent = field(default_factory=Sent)
    """Of the last event."""
    wait: Micros | None = None
    """When the rest is to follow; None: there is none."""


def tell_each(
    store: Store, delivery: Mapping[str, Any], make: Callable[[Mapping[str, Any]], Outgoing],
    send: Callable[[Outgoing], Sent],
) -> Progress:  # fmt: skip
    """Send the events of a message that are left. Raises as `send` when not even the first of them was taken.

    `make` gets an alert's row as it is told: `status` firing or resolved, `told` that or acknowledged, `occurrences`.
    """
    progress = Progress(str(delivery["cursor"]))
    end = time.monotonic() + _AT_ONCE_S
    refused: DeclinedError | None = None
    while rows := _left(store, delivery, progress.cursor):
        for row, is_past in rows:
            if time.monotonic() > end and progress.cursor != delivery["cursor"]:
                return Progress(progress.cursor, progress.sent, 0)
            try:
                sent = progress.sent if is_past else send(make(row))
            except DeclinedError as error:  # this alert, not the others
                _log.warning("alert %s was refused by channel %s: %s", row["id"], delivery["name"], error)
                refused, sent = error, progress.sent
            except TransientError as error:
                if progress.cursor == delivery["cursor"]:
                    raise
                return Progress(progress.cursor, progress.sent, int((error.retry_after or _PAUSE_S) * SECOND))
            progress = Progress(row["id"], sent)
    if refused is not None:
        raise refused
    return progress


def _left(store: Store, delivery: Mapping[str, Any], cursor: str) -> list[tuple[dict[str, Any], bool]]:
    """The next alerts of a message as it tells them, each with whether that is past already."""
    query = select(ALERTS, TOLD.c.status.label("told"), TOLD.c.occurrences).join(TOLD, TOLD.c.alert_id == ALERTS.c.id)
    query = query.where(TOLD.c.notification_id == delivery["notification_id"], TOLD.c.alert_id > cursor)
    with store.read() as tx:
        rows = [dict(row) for row in tx.conn.execute(query.order_by(TOLD.c.alert_id).limit(_PAGE)).mappings()]
        past = [_is_past(tx, delivery, row) for row in rows]
    return [(_as_told(row), over) for row, over in zip(rows, past, strict=True)]


def _as_told(row: dict[str, Any]) -> dict[str, Any]:
    if row["told"] == "resolved":
        return row
    return {**row, "status": "firing", "resolved_at": None}


def _is_past(tx: Tx, delivery: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether telling it now would undo what was told since: messages may arrive late, and not in their order."""
    if row["told"] == "acknowledged":
        return row["status"] != "firing" or row["acknowledged_at"] is None
    if row["told"] == "resolved":
        key = (ALERTS.c.workspace_id == row["workspace_id"], ALERTS.c.dedup_key == row["dedup_key"])
        again = select(ALERTS.c.id).where(*key, ALERTS.c.status == "firing")
        return tx.conn.execute(again.limit(1)).first() is not None
    if row["status"] == "firing":
        return False
    # It is over. If the channel is told of its end, that may have come first and must stay the last word.
    end = select(DELIVERIES.c.id).join(TOLD, TOLD.c.notification_id == DELIVERIES.c.notification_id)
    end = end.where(TOLD.c.alert_id == row["id"], TOLD.c.status == "resolved")
    end = end.where(DELIVERIES.c.channel_id == delivery["channel_id"], DELIVERIES.c.status != "dead")
    return tx.conn.execute(end.limit(1)).first() is not None
