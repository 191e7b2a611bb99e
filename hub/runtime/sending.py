"""Sending webhooks: take what is due, call the receiver outside any transaction, write down how it went.

At least once, under the same id in every attempt: a sender that dies between the receiver's answer and its own commit
sends again. Nothing leaves but through the guarded caller: a checked address, no redirects, bounded in time and size.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hub.errors import HubError, PermanentError, TransientError
from hub.outbound.again import next_delay, retry_after
from hub.outbound.call import Answer, Caller, Limits
from hub.outbound.rule import allowing
from hub.plugins import Loop
from hub.runtime import process
from hub.runtime.commands import Command, apply_in
from hub.settings import Settings
from hub.store import endpoints, events, outgoing
from hub.store.base import Store, Tx
from hub.types import SECOND, Actor, Id, Scope, now_us
from hub.webhooks import standard
from hub.webhooks.events import safe_text

log = logging.getLogger("hub.endpoints")
ACTOR = Actor("system", "endpoints")
SENDERS = 16
LEASE_S = 60.0
RESPONSE = 2_000
GONE = 410
_DEAD_S = 5.0


def caller_of(settings: Settings) -> Caller:
    """What calls endpoints: private networks that are allowed may be called by http and on any port."""
    return Caller(allowing(settings.outbound_networks), Limits(total_s=settings.endpoint_timeout))


class Sender:
    """One per upkeep process; any number may run. Its threads are made when there is something to send."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        # Names the process, so that what it was sending is known to be free once it is dead.
        self._holder = process.holder()
        self._pool: ThreadPoolExecutor | None = None
        self._caller: Caller | None = None
        self._busy: Counter[Id] = Counter()
        self._lock = threading.Lock()
        self._dead_at = 0.0

    def step(self) -> bool:
        """Hand out what is due; True when there may be more and somebody is free to send it."""
        self._free_dead()
        free = SENDERS - self._busy.total()
        with self._store.read() as tx:
            if free <= 0 or not outgoing.any_due(tx):
                return False
        with self._lock:
            busy = dict(self._busy)
        with self._store.write(durable=False) as tx:
            due = outgoing.claim(tx, self._holder, busy, limit=free, lease_s=LEASE_S)
        self._pool = self._pool or ThreadPoolExecutor(SENDERS, "hub-endpoints")
        for webhook in due:
            with self._lock:
                self._busy[webhook["endpoint_id"]] += 1
            self._pool.submit(self._send, webhook)
        return len(due) == free

    def close(self) -> None:
        """Let what is being sent end."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        with self._store.write(durable=False) as tx:
            outgoing.give_back(tx, self._holder)

    def _free_dead(self) -> None:
        if time.monotonic() < self._dead_at:
            return
        self._dead_at = time.monotonic() + _DEAD_S
        with self._store.read() as tx:
            holders = outgoing.holders(tx)
        for holder in holders:
            if process.is_dead(holder):
                with self._store.write() as tx:
                    outgoing.give_back(tx, holder)

    def _send(self, webhook: Mapping[str, Any]) -> None:
        try:
            self._caller = self._caller or caller_of(self._settings)
            attempt(self._store, self._settings, self._caller, webhook)
        except Exception:
            # What it was about is sent again when the lease ends.
            log.exception("the outcome of the webhook %s could not be noted", webhook["id"])
        finally:
            with self._lock:
                self._busy[webhook["endpoint_id"]] -= 1
            self._store.wake([outgoing.TOPIC])

    def loop(self, interval: float = 1.0) -> Loop:
        """As an upkeep loop."""
        return Loop("endpoints", self.step, topics=(outgoing.TOPIC,), interval=interval)


def attempt(store: Store, settings: Settings, caller: Caller, webhook: Mapping[str, Any]) -> None:
    """Make one attempt and write down how it went."""
    scope = Scope(webhook["workspace_id"], ACTOR)
    began, answer, error = now_us(), None, ""
    try:
        with store.read() as tx:
            endpoint = endpoints.get(tx, scope, webhook["endpoint_id"])
            url, keys = endpoints.opened(tx, endpoint)
        answer = _call(caller, url, keys, webhook)
        error = "" if 200 <= answer.status < 300 else f"it answered {answer.status}"
    except (TransientError, PermanentError) as failure:
        error = str(failure)
    except HubError as failure:
        error = failure.detail
    except Exception as failure:  # its text may hold the address
        log.exception("the webhook %s could not be sent", webhook["id"])
        error = f"it could not be sent: {type(failure).__name__}"
    row = {
        "started_at": began, "duration_us": now_us() - began, "status_code": answer.status if answer else None,
        "response": _shown(answer), "error": safe_text(error, 500) or None,
    }  # fmt: skip
    with store.write() as tx:
        _settle(tx, settings, webhook, row, answer)


def _call(caller: Caller, url: str, keys: tuple[str, ...], webhook: Mapping[str, Any]) -> Answer:
    if not keys:
        raise PermanentError("the endpoint has no key that holds: rotate them")
    signed = standard.headers(keys, webhook["id"], now_us() // SECOND, webhook["body"])
    return caller.call("POST", url, headers={"Content-Type": "application/json", **signed}, body=webhook["body"])


def _shown(answer: Answer | None) -> str:
    return "" if answer is None else safe_text(answer.body[:RESPONSE].decode("utf-8", "replace"), RESPONSE)


def _settle(
    tx: Tx, settings: Settings, webhook: Mapping[str, Any], row: Mapping[str, Any], answer: Answer | None
) -> None:
    scope = Scope(webhook["workspace_id"], ACTOR)
    if row["error"] is None:
        if outgoing.settle(tx, webhook, row, due_at=None):
            endpoints.went_well(tx, webhook["endpoint_id"])
            _tell(tx, scope, webhook, row)
        return
    delay = next_delay(
        settings.endpoint_retry_delays, webhook["tries"], spread=random.random(),  # noqa: S311 - spreads load
        retry_after=retry_after(answer.headers.get("retry-after")) if answer else None,
    )  # fmt: skip
    gone = answer is not None and answer.status == GONE
    due_at = None if delay is None or gone else tx.now + int(delay * SECOND)
    if not outgoing.settle(tx, webhook, row, due_at=due_at):
        return
    _tell(tx, scope, webhook, row)
    endpoint = endpoints.failed(tx, webhook["endpoint_id"])
    if endpoint is None:
        return
    if gone:
        _disable(tx, scope, endpoint, "it answered 410: nothing is there any more")
    elif tx.now - endpoint["failing_since"] >= settings.endpoint_disable_after * SECOND:
        _disable(tx, scope, endpoint, f"no attempt went well for too long, the last one: {row['error']}")


def _tell(tx: Tx, scope: Scope, webhook: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    verb = "failed" if row["error"] else "delivered"
    more = {"error": row["error"]} if row["error"] else {}
    events.append(
        tx, scope, f"hub.webhook.{verb}", subject=webhook["id"], endpoint_id=webhook["endpoint_id"],
        kind=webhook["type"], attempt=webhook["attempts"], status_code=row["status_code"], **more,
    )  # fmt: skip


def _disable(tx: Tx, scope: Scope, endpoint: Mapping[str, Any], reason: str) -> None:
    if not endpoints.disable(tx, endpoint["id"], reason):
        return
    outgoing.hold(tx, endpoint["id"])
    log.warning("the endpoint %s is disabled: %s", endpoint["name"], reason)
    events.append(tx, scope, "hub.endpoint.disabled", subject=endpoint["id"], name=endpoint["name"], reason=reason)
    told = {
        "title": f"The endpoint {endpoint['name']} was disabled",
        "body": f"{reason}\nWhat is sent to it waits: `hub endpoints enable {endpoint['name']}` when it is mended.",
        "about": f"endpoint/{endpoint['id']}", "occurrence": str(tx.now),
    }  # fmt: skip
    try:
        apply_in(tx, Command("alert.raise", scope, args=told, via="system"))
    except HubError as error:
        # A hub without the plugin of alerts has the event.
        if error.code != "unsupported":
            raise
