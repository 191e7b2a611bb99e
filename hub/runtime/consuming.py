"""Consuming for one source: receive a batch, commit it as receipts, and only then acknowledge it.

At least once: what dies between commit and acknowledgement comes again, and the id of a message makes it a repeat of
the first receipt. A message that cannot be read is kept as rejected and acknowledged, so that it blocks nobody.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.consumers import BrokerMessage, Consumer, Consuming
from hub.errors import HubError, PermanentError, TransientError, UnavailableError
from hub.runtime import brought, connections, contributed, drifting, presets
from hub.runtime.receipts import MAX_BATCH, Incoming, Kept, Outdated, commit
from hub.store import consumers, event_schemas, events, receipts
from hub.store.base import Store, Tx
from hub.types import SECOND, Scope, new_id, now_us
from hub.webhooks.body import BodyError
from hub.webhooks.catalog import Schema, check
from hub.webhooks.dedupe import dedupe_keys, key_of_id
from hub.webhooks.events import check_content, delivery_id, event_type, provider_events, safe_text
from hub.webhooks.keeping import MAX_REJECTED_BODY, kept_headers
from hub.webhooks.preset import Preset
from hub.webhooks.redaction import Redaction, parse
from hub.webhooks.request import WebhookRequest
from hub.webhooks.rules import Rules
from hub.webhooks.verify import Verdict

log = logging.getLogger("hub.consumers")
METHOD = "MESSAGE"
MAX_HEADERS = 100
PREFETCH_BYTES = 64 * 1024 * 1024
"""What may be on its way to a source: as many messages of its largest size."""
WAIT_S = 1.0
LOOK_S = 2.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
_VERDICT = Verdict(True)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the messages of a source are read. `row` is the source as it was when its consumer was opened."""

    row: Mapping[str, Any]
    preset: Preset
    rules: Rules
    redaction: Redaction
    schemas: Mapping[str, Schema] = field(default_factory=dict, repr=False)
    """By event type, where the source refuses what violates them."""

    def incoming(self, message: BrokerMessage) -> Incoming:
        """A message as a receipt that is to be kept. Raises nothing that a sender could bring about."""
        headers = tuple((name[:100], value[:2_000]) for name, value in message.headers[:MAX_HEADERS])
        request = WebhookRequest(METHOD, "", headers, message.body)
        problem = message.problem or self._too_large(message) or self._unread(request)
        version = self.row["updated_at"]
        if problem:
            return Incoming(self.row["id"], version, self._receipt(request, problem), starts=False)
        row = self._receipt(request)
        row["event_type"] = event_type(self.preset, request, self.rules)
        row["delivery_id"] = delivery_id(self.preset, request, self.rules)
        keys = dedupe_keys(self.preset, request, _VERDICT, self.rules)
        held = self.row["paused_at"] is not None
        return Incoming(self.row["id"], version, row, keys, self.rules.dedupe.window, held=held)

    def _too_large(self, message: BrokerMessage) -> str:
        size, most = len(message.body), self.row["max_body"]
        return f"the message has {size} bytes, at most {most} are taken" if size > most else ""

    def _unread(self, request: WebhookRequest) -> str:
        """Why the preset cannot read a message; empty when it can."""
        try:
            check_content(self.preset, request)
            event_type(self.preset, request, self.rules)
            delivery_id(self.preset, request, self.rules)
            if self.schemas:
                check(self.schemas, provider_events(self.preset, request, self.rules))
        except BodyError as error:
            return error.detail
        return ""

    def _receipt(self, request: WebhookRequest, problem: str = "") -> dict[str, Any]:
        named = frozenset(name.lower() for name, _ in request.headers)
        stored = self.redaction.apply(request)
        reason = "; ".join(filter(None, (problem, stored.problem)))
        fits = len(request.body) <= self.row["max_body"]
        return {
            "id": new_id(), "workspace_id": self.row["workspace_id"], "source_id": self.row["id"],
            "received_at": now_us(), "method": METHOD, "query": "",
            "headers": kept_headers(request.headers, self.redaction.headers, named),
            "body": stored.body if fits else stored.body[:MAX_REJECTED_BODY], "body_size": len(request.body),
            "remote": self.row["connection"], "verdict": "rejected" if problem else "accepted",
            "reason": safe_text(reason, 500), "secret_id": None, "event_type": None, "delivery_id": None,
            "answer_status": 400 if problem else 202, "redacted": json.dumps(stored.places) if stored.places else None,
        }  # fmt: skip


class _Ended(Exception):
    """The source was changed or is not to consume any more: let go of the connection and look again."""


@dataclass(slots=True)
class SourceConsumer:
    """Consumes for one source in a thread of its own until `stop`, whatever its broker and the database do."""

    store: Store
    source_id: str
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _source: dict[str, Any] | None = None
    _stand: tuple[int, int] | None = None
    _running: bool = False
    _silent: bool = False

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self.run, name=f"consumer {self.source_id}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; what it has received and not committed, the broker gives again."""
        self._stop.set()

    def abandon(self) -> None:
        """The same, without a word: another process consumes by now, and says how it stands."""
        self._silent = True
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Whether it has ended within that many seconds."""
        if self._thread is not None:
            self._thread.join(max(0.0, timeout))
        return self._thread is None or not self._thread.is_alive()

    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def run(self) -> None:
        """Open, consume, and open again after a pause that doubles."""
        pause = FIRST_PAUSE_S
        while not self._stop.is_set():
            try:
                self._running = False
                if not self._once():
                    break
                pause = FIRST_PAUSE_S
            except Exception as error:  # noqa: BLE001 - whatever it is, the source waits and says why
                pause = FIRST_PAUSE_S if self._running else pause
                wait = pause * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, hides nothing
                self._fell_out(error, wait)
                self._rest(wait)
                pause = min(pause * 2, LONGEST_PAUSE_S)
        self._say("stopped")

    def _rest(self, seconds: float) -> None:
        """Wait, but no longer than until the source or its connection is changed."""
        deadline, before = time.monotonic() + seconds, self._stand
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            self._stop.wait(min(left, LOOK_S))
            with contextlib.suppress(UnavailableError):
                if self._look() != before:
                    return

    def _look(self) -> tuple[int, int] | None:
        """When the source and its connection were changed last; None when it is not to consume any more."""
        with self.store.read() as tx:
            return consumers.stand(tx, self.source_id)

    def _once(self) -> bool:
        """Consume until something changes; False when the source is not to consume any more."""
        with self.store.read() as tx:
            row = consumers.live(tx, self.source_id)
            self._stand = consumers.stand(tx, self.source_id)
        if row is None:
            return False
        self._source = row
        reading, consumer = self._open(row)
        try:
            self._consume(reading, consumer)
        except _Ended:
            return True
        finally:
            consumer.close()
        return not self._stop.is_set()

    def _open(self, row: dict[str, Any]) -> tuple[Reading, Consumer]:
        preset = presets.installed().get(row["preset"])
        rules, options = preset.rules(row["options"]), preset.check_options(row["options"])
        kind = contributed.installed().consumers.get(preset.consumer)
        if kind is None:
            with self.store.read() as tx:
                raise PermanentError(f"it {brought.needs(tx, 'consumer', preset.consumer)}")
        settings = connections.load(self.store, Scope(row["workspace_id"]), row["connection"]).settings
        prefetch = max(1, min(MAX_BATCH, PREFETCH_BYTES // row["max_body"]))
        wanted = Consuming(f"hub-{row['id']}", options, prefetch, self._known, row["created_at"])
        consumer = kind.open(settings, wanted)
        self._running = True
        self._say("running")
        return Reading(row, preset, rules, parse(row["redact"]), self._schemas(row)), consumer

    def _known(self, ids: Sequence[str]) -> frozenset[str]:
        names = {key_of_id(ident): ident for ident in ids}
        with self.store.read() as tx:
            found = receipts.known(tx, [(self.source_id, key) for key in names])
        return frozenset(names[key] for _, key in found)

    def _schemas(self, row: Mapping[str, Any]) -> dict[str, Schema]:
        if row["schema_mode"] != "enforce":
            return {}
        with self.store.read() as tx:
            return {type_: drifting.compiled(text) for type_, text in event_schemas.texts(tx, row["id"]).items()}

    def _consume(self, reading: Reading, consumer: Consumer) -> None:
        rate = reading.row["rate_per_minute"]
        # By a slow rate few at once, so that the connection is not left alone for long.
        most = max(1, min(MAX_BATCH, PREFETCH_BYTES // reading.row["max_body"], rate // 12))
        pace = 60.0 / rate
        while not self._stop.is_set():
            began = time.monotonic()
            messages = consumer.receive(most, WAIT_S)
            if not messages:
                if self._look() != self._stand:
                    raise _Ended
                continue
            self._keep(reading, consumer, messages)
            self._stop.wait(max(0.0, began + pace * len(messages) - time.monotonic()))

    def _keep(self, reading: Reading, consumer: Consumer, messages: Sequence[BrokerMessage]) -> None:
        answers = commit(self.store, [reading.incoming(message) for message in messages])
        # In order: what stands behind one that was not kept comes again with it.
        kept = next((place for place, answer in enumerate(answers) if not isinstance(answer, Kept)), len(answers))
        if kept:
            consumer.ack(messages[:kept])
        if kept < len(answers):
            answer = answers[kept]
            if isinstance(answer, Outdated):
                raise _Ended
            assert isinstance(answer, HubError)
            raise answer

    def _fell_out(self, error: Exception, wait: float) -> None:
        if isinstance(error, HubError):
            reason = error.detail
        elif isinstance(error, TransientError | PermanentError):
            reason = str(error)
        else:
            log.exception("the consumer of source %s failed", self.source_id)
            reason = f"{type(error).__name__}"  # its text may hold a password
        self._say("waiting", safe_text(reason, 500), retry_in_s=wait)

    def _say(self, state: str, reason: str = "", *, retry_in_s: float | None = None) -> None:
        if self._source is None or self._silent:
            return
        try:
            with self.store.write(durable=False) as tx:
                retry_at = None if retry_in_s is None else tx.now + int(retry_in_s * SECOND)
                before = consumers.say(tx, self._source, state, reason, retry_at=retry_at)
                if state in _TOLD and before != state:
                    self._tell(tx, _TOLD[state], reason)
        except UnavailableError as error:
            log.warning("how the consumer of source %s stands was not noted: %s", self.source_id, error.detail)
        if reason:
            log.warning("the source %s waits for its broker: %s", self._source["name"], reason)

    def _tell(self, tx: Tx, verb: str, reason: str) -> None:
        assert self._source is not None
        said: dict[str, Any] = {"name": self._source["name"], **({"reason": reason} if reason else {})}
        scope = Scope(self._source["workspace_id"])
        events.append(tx, scope, f"hub.source.{verb}", subject=self._source["id"], **said)


_TOLD = {"running": "connected", "waiting": "disconnected"}
