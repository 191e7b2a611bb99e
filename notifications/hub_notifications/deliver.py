"""The delivery loop: take what is due, send it outside any transaction, write down how it went.

At least once: a sender that dies between the peer's answer and its own commit sends again when its claim runs out.
Every attempt is a row; after a transient failure the next attempt is planned in the same transaction.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from hub.channels import Outgoing, Sent
from hub.errors import DeclinedError, HubError, PermanentError, TransientError, UsageError
from hub.outbound.again import next_delay
from hub.runtime import contributed
from hub.runtime.alert_links import LIFETIME, AlertLink, sign
from hub.settings import Settings
from hub.store import events
from hub.store.base import Store, Tx
from hub.types import SECOND, Id, Micros, Scope
from sqlalchemy import update

from hub_notifications import channels, firing, notices, templates
from hub_notifications.address import check_allowed
from hub_notifications.attaching import log_of
from hub_notifications.content import content
from hub_notifications.each import Progress, tell_each
from hub_notifications.links import with_links
from hub_notifications.outgoing import outgoing
from hub_notifications.outline import title_of
from hub_notifications.reach import Reach, reach_of
from hub_notifications.rules import AlertEvent
from hub_notifications.send import TIMEOUT, send
from hub_notifications.services import service_at
from hub_notifications.shapes import Rendered, Shape
from hub_notifications.texts import as_given, compose

_BATCH = 16
_SENDERS = 4
_LEASE_S = TIMEOUT * (_BATCH / _SENDERS + 2)
"""Long enough for the last of a batch of which every attempt runs into its timeout."""
LONGEST: Micros = 24 * 3600 * SECOND
"""After that a message is too old to be brought."""
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
            if not notices.anything_due(tx):
                return False
        with self._store.write() as tx:
            due = notices.claim_due(tx, limit=_BATCH, lease_s=_LEASE_S)
        if not due:
            return False
        self._pool = self._pool or ThreadPoolExecutor(_SENDERS, "hub-alerts")
        list(self._pool.map(partial(deliver_one, self._store, self._settings), due))
        return True


def deliver_one(store: Store, settings: Settings, delivery: Mapping[str, Any]) -> None:
    """Make one attempt and write down how it went."""
    error: Exception | None = None
    sent = Sent()
    rest: Progress | None = None
    token = sign(
        store.keyring, AlertLink(delivery["notification_id"], delivery["channel_id"], delivery["made_at"] + LIFETIME)
    )
    document = with_links({**delivery["content"], "channel": delivery["name"]}, settings, token)
    title, problem, shape = title_of(document), None, Shape()
    try:
        if not delivery["enabled"]:
            raise PermanentError("the channel is switched off")
        address = channels.open_address(store.keyring, delivery, delivery["channel_id"])
        reach, kinds = reach_of(settings), contributed.installed().channels
        _wait_for_plugin(store, address.partition("://")[0].lower())
        check_allowed(address, reach, kinds)
        shape, can = service_at(address, kinds)
        if can.incidents:
            rest = _each(store, settings, delivery, address, shape, reach, token)
            sent = rest.sent
        else:
            made = _made(store, delivery, document, shape)
            title, problem = made.title, made.problem
            scope = Scope(delivery["workspace_id"])
            files = log_of(store, scope, document, shown=made.logs) if can.attachments else ()
            sent = send(outgoing(address, made, delivery, document, settings, files), reach, kinds)
    except (TransientError, PermanentError) as failure:
        error = failure
    except UsageError as failure:
        error = PermanentError(failure.detail)
    except HubError as failure:  # the key is missing: the hub is to be mended, not the channel switched off
        error = TransientError(failure.detail)
    except Exception as failure:  # noqa: BLE001 - one service's client must not end the loop; its text may hold addresses
        error = TransientError(f"the sender failed: {type(failure).__name__}")
    with store.write() as tx:
        if rest is not None and rest.wait is not None:
            if tx.now + rest.wait < delivery["made_at"] + LONGEST:
                notices.put_back(tx, delivery["id"], rest.cursor, tx.now + rest.wait)
                return
            error = TransientError("not all of its alerts could be told within a day")
        if problem is not None:
            templates.note(tx, Scope(delivery["workspace_id"]), delivery["channel_id"], problem)
        _settle(tx, settings, delivery, error, title=title, provider_id=sent.message_id)
    # Without its links: who has them may act.
    _tell_plugins(delivery, {**delivery["content"], "channel": delivery["name"]}, shape, error, sent)


def _wait_for_plugin(store: Store, scheme: str) -> None:
    """A channel whose plugin is away is not switched off: what is told waits, and goes when the plugin is back."""
    with store.read() as tx:
        needed = channels.needs(tx, scheme)
    if needed:
        raise TransientError(f"the channel {needed}")


def _made(store: Store, delivery: Mapping[str, Any], document: Mapping[str, Any], shape: Shape) -> Rendered:
    """The message as the channel's service takes it: by a plugin, else the channel's templates as they are now."""
    own_words = _by_plugin(delivery, document, shape)
    if own_words is not None:
        return own_words
    with store.read() as tx:
        own = templates.of_channel(tx, delivery["channel_id"])
    return compose(document, shape, own)


def _by_plugin(delivery: Mapping[str, Any], document: Mapping[str, Any], shape: Shape) -> Rendered | None:
    hooks = contributed.hooks()
    if not hooks.implemented("hub_alert_render"):
        return None
    message = hooks.alert_render(document, _channel(delivery, shape))
    return None if message is None else as_given(message, shape)


def _channel(delivery: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """A channel as plugins see it: never its address."""
    return {
        "id": delivery["channel_id"], "name": delivery["name"], "format": shape.format,
        "max_title": shape.max_title, "max_text": shape.max_text,
    }  # fmt: skip


def _tell_plugins(
    delivery: Mapping[str, Any], document: Mapping[str, Any], shape: Shape, error: Exception | None, sent: Sent
) -> None:
    hooks = contributed.hooks()
    if hooks.implemented("hub_alert_sent"):
        result = {
            "status": "sent" if error is None else "failed", "error": "" if error is None else str(error)[:500],
            "attempt": delivery["attempt"], "message_id": sent.message_id,
        }  # fmt: skip
        hooks.alert_sent(document, _channel(delivery, shape), result)


def _each(
    store: Store,
    settings: Settings,
    delivery: Mapping[str, Any],
    address: str,
    shape: Shape,
    reach: Reach,
    token: str,
) -> Progress:
    """Tell a service that keeps incidents of each alert by itself."""
    with store.read() as tx:
        own = templates.of_channel(tx, delivery["channel_id"])

    def make(row: Mapping[str, Any]) -> Outgoing:
        told = {"alert_id": row["id"], "status": row["told"], "occurrences": row["occurrences"]}
        one = content(delivery["reason"], [row], [told], delivery["made_at"], route=delivery["content"]["route"])
        document = with_links({**one, "channel": delivery["name"]}, settings, token)
        message = outgoing(address, compose(document, shape, own), delivery, document, settings)
        return replace(message, status=row["told"], ident=f"{message.ident}/{row['id']}")

    return tell_each(store, delivery, make, partial(send, reach=reach))


def _settle(
    tx: Tx, settings: Settings, delivery: Mapping[str, Any], error: Exception | None, *, title: str, provider_id: str
) -> None:
    scope = Scope(delivery["workspace_id"])
    named = {"alert_id": delivery["alert_id"], "channel": delivery["name"], "attempt": delivery["attempt"]}
    if error is None:
        if notices.finish(tx, delivery["id"], "sent", title=title, provider_id=provider_id):
            events.append(tx, scope, "hub.delivery.sent", subject=delivery["alert_id"], **named)
        return
    permanent = isinstance(error, PermanentError)
    delay = None if permanent else next_delay(
        settings.alerts_retry_delays, delivery["attempt"], retry_after=getattr(error, "retry_after", None),
        spread=random.random(),  # noqa: S311 - spreads load, guards nothing
    )  # fmt: skip
    due = tx.now + int((delay or 0) * SECOND)
    if due > delivery["made_at"] + LONGEST:
        delay = None
    kind = "permanent" if permanent else "transient"
    status = "dead" if delay is None else "failed"
    if not notices.finish(tx, delivery["id"], status, title=title, error_class=kind, error=str(error)):
        return
    _log.warning("alert %s to channel %s: attempt %d: %s", *named.values(), error)
    events.append(tx, scope, "hub.delivery.failed", subject=delivery["alert_id"], error=str(error), **named)
    if delay is not None:
        notices.attempt(
            tx, scope.workspace_id, delivery["notification_id"], delivery["alert_id"], delivery["channel_id"],
            number=delivery["attempt"] + 1, due_at=due, cursor=delivery["cursor"],
        )  # fmt: skip
    elif permanent and delivery["enabled"] and not isinstance(error, DeclinedError):
        _disable(tx, scope, delivery, str(error))


def _disable(tx: Tx, scope: Scope, delivery: Mapping[str, Any], reason: str) -> None:
    """Switch off a channel that can never take anything; say so, and what it did not take, on another one."""
    table, channel_id = channels.CHANNELS, delivery["channel_id"]
    values = {"enabled": False, "disabled_reason": reason, "updated_at": tx.now}
    changed = update(table).where(table.c.id == channel_id, table.c.enabled).values(**values).returning(table.c.id)
    if tx.conn.execute(changed).first() is None:
        return
    events.append(tx, scope, "hub.channel.disabled", subject=channel_id, name=delivery["name"])
    other = channels.other(tx, scope.workspace_id, channel_id)
    told = AlertEvent(
        "firing", f"channel/{channel_id}", delivery["id"], "channel-disabled", "warning",
        f"Channel {delivery['name']} was switched off",
        f"It refused an alert for good: {reason}\nIt gets no more alerts until it is mended.",
        labels={"channel": delivery["name"]},
    )  # fmt: skip
    tell_directly(tx, scope, told, [other] if other else [])
    if other and delivery["reason"] != "test":
        notices.attempt(tx, scope.workspace_id, delivery["notification_id"], delivery["alert_id"], other)


def tell_directly(tx: Tx, scope: Scope, told: AlertEvent, to: Sequence[Id], *, reason: str = "firing") -> Id | None:
    """Raise an alert past the routes: about alerting itself, these channels alone are told. None: known already."""
    alert_id = firing.fire(tx, scope, told, routed=False)
    if alert_id is None:
        return None
    one = [{"alert_id": alert_id, "status": "firing", "occurrences": 1}]
    notices.plan(tx, scope, content(reason, [firing.find(tx, scope, alert_id)], one, tx.now), one, to)
    return alert_id
