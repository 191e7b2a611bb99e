"""The delivery loop: take what is due, send it outside any transaction, write down how it went.

At least once: a sender that dies between the peer's answer and its own commit sends again when its claim runs out.
Every attempt is a row; after a transient failure the next attempt is planned in the same transaction.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from hub.errors import HubError, PermanentError, TransientError, UsageError
from hub.settings import Settings
from hub.store import events
from hub.store.base import Store, Tx
from hub.types import SECOND, Scope
from sqlalchemy import update

from hub_notifications import records
from hub_notifications.address import check_allowed
from hub_notifications.messages import Message, plain_message
from hub_notifications.rules import AlertEvent
from hub_notifications.send import TIMEOUT, send

_BATCH = 16
_SENDERS = 4
_LEASE_S = TIMEOUT * (_BATCH / _SENDERS + 2)
"""Long enough for the last of a batch of which every attempt runs into its timeout."""
_LONGEST_WAIT_S = 86_400.0
_log = logging.getLogger("hub.alerts")


class Deliverer:
    """One loop's worth of state: the settings and a small pool, made when there is something to send."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._pool: ThreadPoolExecutor | None = None

    def step(self) -> bool:
        """Send what is due; True when there was something."""
        with self._store.read() as tx:
            if not records.anything_due(tx):
                return False
        with self._store.write() as tx:
            due = records.claim_due(tx, limit=_BATCH, lease_s=_LEASE_S)
        if not due:
            return False
        self._pool = self._pool or ThreadPoolExecutor(_SENDERS, "hub-alerts")
        list(self._pool.map(partial(deliver_one, self._store, self._settings), due))
        return True


def deliver_one(store: Store, settings: Settings, delivery: Mapping[str, Any]) -> None:
    """Make one attempt and write down how it went."""
    error: Exception | None = None
    try:
        if not delivery["enabled"]:
            raise PermanentError("the channel is switched off")
        address = store.keyring.open(
            delivery["sealed"], context=f"channels:{delivery['channel_id']}", key_id=delivery["key_id"]
        )
        check_allowed(address, settings.alerts_schemes)
        send(address, Message(delivery["title"], delivery["body"]), sender=settings.alerts_from)
    except (TransientError, PermanentError) as failure:
        error = failure
    except UsageError as failure:
        error = PermanentError(failure.detail)
    except HubError as failure:  # the key is missing: the hub is to be mended, not the channel switched off
        error = TransientError(failure.detail)
    except Exception as failure:  # noqa: BLE001 - one service's client must not end the loop; its text may hold addresses
        error = TransientError(f"the sender failed: {type(failure).__name__}")
    with store.write() as tx:
        _settle(tx, settings, delivery, error)


def next_delay(delays: tuple[float, ...], attempt: int, *, retry_after: float | None, spread: float) -> float | None:
    """Seconds until the next attempt after number `attempt`; None when it was the last.

    Up to 20 % is added so that many alerts do not return at once; a Retry-After is never undercut.
    """
    if attempt > len(delays):
        return None
    wanted = max(delays[attempt - 1], min(retry_after or 0.0, _LONGEST_WAIT_S))
    return wanted * (1 + 0.2 * spread)


def _settle(tx: Tx, settings: Settings, delivery: Mapping[str, Any], error: Exception | None) -> None:
    scope = Scope(delivery["workspace_id"])
    named = {"alert_id": delivery["alert_id"], "channel": delivery["name"], "attempt": delivery["attempt"]}
    if error is None:
        if records.finish(tx, delivery["id"], "sent"):
            events.append(tx, scope, "hub.delivery.sent", subject=delivery["alert_id"], **named)
        return
    permanent = isinstance(error, PermanentError)
    delay = None if permanent else next_delay(
        settings.alerts_retry_delays, delivery["attempt"], retry_after=getattr(error, "retry_after", None),
        spread=random.random(),  # noqa: S311 - spreads load, guards nothing
    )  # fmt: skip
    kind = "permanent" if permanent else "transient"
    status = "dead" if delay is None else "failed"
    if not records.finish(tx, delivery["id"], status, error_class=kind, error=str(error)):
        return
    _log.warning("alert %s to channel %s: attempt %d: %s", *named.values(), error)
    events.append(tx, scope, "hub.delivery.failed", subject=delivery["alert_id"], error=str(error), **named)
    if delay is not None:
        due = tx.now + int(delay * SECOND)
        records.deliver(
            tx, scope.workspace_id, delivery["alert_id"], delivery["channel_id"], attempt=delivery["attempt"] + 1,
            due_at=due,
        )  # fmt: skip
    elif permanent and delivery["enabled"]:
        _disable(tx, scope, delivery, str(error))


def _disable(tx: Tx, scope: Scope, delivery: Mapping[str, Any], reason: str) -> None:
    """Switch off a channel that can never take anything, and say so on another one."""
    table, channel_id = records.CHANNELS, delivery["channel_id"]
    values = {"enabled": False, "disabled_reason": reason, "updated_at": tx.now}
    changed = update(table).where(table.c.id == channel_id, table.c.enabled).values(**values).returning(table.c.id)
    if tx.conn.execute(changed).first() is None:
        return
    events.append(tx, scope, "hub.channel.disabled", subject=channel_id, name=delivery["name"])
    other = records.other_channel(tx, scope.workspace_id, channel_id)
    told = AlertEvent("firing", f"{channel_id}/channel-disabled", delivery["id"], "channel-disabled", "warning", "")
    text = f"Channel {delivery['name']} refused an alert for good: {reason}\nIt gets no more alerts until it is mended."
    message = plain_message(f"Channel {delivery['name']} was switched off", text)
    records.raise_alert(tx, scope, told, message, channels=[other] if other else [])
