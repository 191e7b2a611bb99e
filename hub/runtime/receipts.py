"""Group commit of receipts: whatever has queued up is committed at once, then every caller is answered.

An event loop commits in its own thread as long as that holds up nobody; else there is a writer's thread. A caller hears
of success only after the commit. The same request from many callers at once is one receipt: those of one batch are
compared here, those of other processes by the primary key of the dedupe keys.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hub.engine.values import quick
from hub.errors import HubError, UnavailableError
from hub.store import events, receipts, sources
from hub.store.base import Store, Tx
from hub.store.effects import HELD
from hub.types import SECOND, Id, Micros, Scope

log = logging.getLogger("hub.receipts")
MAX_BATCH = 256
MAX_BATCH_BYTES = 16 * 1024 * 1024
ONCE_S = 30 * 86_400
"""How long it is known that a request was brought; longer than anybody keeps one to bring it again."""
_TRIES = 10
_PAUSE_S = 0.001
"""Before the first new try after a race; doubled every time, so that the last ones outwait a burst of other writers."""


@quick
@dataclass(frozen=True, slots=True)
class Incoming:
    """A judged request that is to be kept. `source_version` is the source's `updated_at` it was judged by."""

    source_id: Id
    source_version: Micros
    receipt: Mapping[str, Any] = field(repr=False)
    keys: tuple[str, ...] = ()
    window_s: int = 86_400
    once: str = ""
    """A further key, under which this very request may be brought again; that is no repeat of its sender's."""
    starts: bool = True
    """Whether events follow; a rejected request is only kept."""
    held: bool = False
    """The source is paused: the events wait until it is resumed."""
    confirms: bool = False
    """Its provider has seen that the source is there."""
    closes: bool = False
    """And asks but once: the handshake is closed with it."""


@quick
@dataclass(frozen=True, slots=True)
class Kept:
    """It is committed. `duplicate`: this is the id of the first one, nothing new was kept."""

    receipt_id: Id
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Outdated:
    """The source was changed since the request was judged: look at it again and judge anew."""


Answer: TypeAlias = Kept | Outdated | HubError
Reply: TypeAlias = Callable[[list[tuple[Any, Answer]]], None]
"""Takes the answers of a batch, each with the ticket given at `submit`; called from the writer thread."""


class ReceiptWriter:
    """The one writer of a web process. `start` before use, `close` commits what is queued."""

    def __init__(self, store: Store, reply: Reply, *, limit: int = 2048) -> None:
        self._store = store
        self._reply = reply
        self._limit = limit
        self._works = False
        self._queue: queue.SimpleQueue[tuple[Any, Incoming] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def limit(self) -> int:
        """How many may wait."""
        return self._limit

    @property
    def is_idle(self) -> bool:
        """Whether the thread has nothing to do."""
        return not self._works and self._queue.empty()

    def submit(self, ticket: Any, incoming: Incoming) -> None:
        """Queue a request; its answer comes to `reply` with the same ticket. Raises UnavailableError when full."""
        if self._queue.qsize() >= self._limit:
            raise full()
        self._queue.put((ticket, incoming))

    def close(self, timeout: float = 10.0) -> None:
        """Commit what is queued and end the thread."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        ended = False
        while not ended:
            self._works = False
            batch, ended = self._take()
            if batch:
                answers = commit(self._store, [incoming for _, incoming in batch])
                self._reply([(ticket, answer) for (ticket, _), answer in zip(batch, answers, strict=True)])

    def _take(self) -> tuple[list[tuple[Any, Incoming]], bool]:
        """Wait for one request, then take all that is there; whether the end was reached."""
        batch: list[tuple[Any, Incoming]] = []
        size = 0
        item = self._queue.get()
        self._works = True
        while item is not None:
            batch.append(item)
            size += item[1].receipt["body_size"]
            if len(batch) >= MAX_BATCH or size >= MAX_BATCH_BYTES:
                return batch, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


def full() -> UnavailableError:
    """What a sender is told for whom there is no room."""
    return UnavailableError("more webhooks are waiting than the database takes", code="door-full", retry_after=1)


def commit_in_loop(
    store: Store,
    loop: AbstractEventLoop,
    batch: list[Incoming],
    done: Callable[[list[Answer] | None], None],
    *,
    looks: bool,
) -> None:
    """The same as `commit`, once, in the thread of an event loop; None: `commit` has to do it, elsewhere.

    Without `looks` nobody asks first which of them are repeats: if one is, the answer is None.
    """
    store.write_in_loop(loop, lambda tx: _write(tx, batch, looks=looks), done)


def commit(store: Store, batch: list[Incoming]) -> list[Answer]:
    """Keep a batch in one durable transaction; one answer for each. Nothing here raises."""
    for turn in range(_TRIES):
        if turn:
            time.sleep(random.uniform(0.5, 1.0) * min(0.1, _PAUSE_S * 2**turn))  # noqa: S311 - spreads, hides nothing
        try:
            answers = _attempt(store, batch)
        except HubError as error:
            return [error] * len(batch)
        except Exception as error:
            if len(batch) > 1:
                # One bad row must not take the others with it.
                return [answer for incoming in batch for answer in commit(store, [incoming])]
            log.exception("a webhook could not be kept")
            return [UnavailableError(f"the receipt could not be kept: {type(error).__name__}", code="receipt-lost")]
        if answers is not None:
            return answers
    return [UnavailableError("other processes keep the same webhooks at this moment", code="contention")] * len(batch)


class _Raced(Exception):
    """Another process took one of our keys between our look and our write."""


def _attempt(store: Store, batch: list[Incoming]) -> list[Answer] | None:
    try:
        with store.write(first=True) as tx:
            return _write(tx, batch)
    except _Raced:
        return None


def _write(tx: Tx, batch: list[Incoming], *, looks: bool = True) -> list[Answer]:
    """Keep a batch. Without `looks` all of it is taken for new. Raises _Raced when it is not, or no longer."""
    some_held = any(incoming.held for incoming in batch)
    versions = sources.ask_versions(tx, list({incoming.source_id for incoming in batch}), lock=some_held)
    fresh = batch
    if looks:
        current = versions()
        fresh = [incoming for incoming in batch if current.get(incoming.source_id) == incoming.source_version]
    plan = _Plan(receipts.known(tx, _asked(fresh)) if looks else {})
    kept = {id(incoming): plan.place(incoming, tx.now) for incoming in fresh}
    keys = receipts.ask_keys(tx, list(plan.new_keys.values()))
    if not looks:
        # Asked with the keys, in one round trip: of a source that was changed meanwhile nothing may be kept.
        current = versions()
        if any(current.get(incoming.source_id) != incoming.source_version for incoming in batch):
            raise _Raced
    if not keys():
        raise _Raced
    receipts.accept(tx, plan.rows)
    receipts.count_duplicates(tx, plan.duplicates)
    for incoming in fresh:
        if incoming.confirms:
            _confirm(tx, incoming)
    receipts.announce(tx, plan.starting)
    receipts.announce(tx, plan.held, due_at=HELD)
    if plan.starting:
        tx.wake("effects")
    elif plan.rows:
        tx.wake("receipts")  # nothing follows, but somebody may look
    return [kept.get(id(incoming), Outdated()) for incoming in batch]


def _asked(fresh: list[Incoming]) -> set[tuple[Id, str]]:
    return {(one.source_id, key) for one in fresh for key in (*one.keys, one.once) if key}


def _confirm(tx: Tx, incoming: Incoming) -> None:
    source = sources.confirmed(tx, incoming.source_id, closes=incoming.closes)
    if source is not None:
        scope = Scope(source["workspace_id"])
        events.append(tx, scope, "hub.source.confirmed", subject=source["id"], name=source["name"], by="handshake")


class _Plan:
    """What a batch comes to: rows to write, keys to take, repeats to count."""

    def __init__(self, known: dict[tuple[Id, str], Id]) -> None:
        self.known = known
        self.rows: list[Mapping[str, Any]] = []
        self.starting: list[Mapping[str, Any]] = []
        self.held: list[Mapping[str, Any]] = []
        self.new_keys: dict[tuple[Id, str], tuple[Id, str, Id, Micros]] = {}
        self.duplicates: dict[Id, int] = {}

    def place(self, incoming: Incoming, now: Micros) -> Kept:
        """Decide whether a request is a first one or a repeat, in the order of arrival."""
        if incoming.once:
            once = (incoming.source_id, incoming.once)
            if once in self.known:
                return Kept(self.known[once], duplicate=True)
            kept = self._placed(incoming, now)
            self.known[once] = kept.receipt_id
            self.new_keys[once] = (*once, kept.receipt_id, now + ONCE_S * SECOND)
            return kept
        return self._placed(incoming, now)

    def _placed(self, incoming: Incoming, now: Micros) -> Kept:
        names = [(incoming.source_id, key) for key in incoming.keys]
        known = self.known
        found = [known[name] for name in names if name in known]
        first = found[0] if found else None
        receipt_id = first or str(incoming.receipt["id"])
        until = now + incoming.window_s * SECOND
        for name in names:
            # A repeat that brings a further key ties that key to the first request, too.
            if name not in known:
                known[name] = receipt_id
                self.new_keys[name] = (*name, receipt_id, until)
        if first is not None:
            self.duplicates[first] = self.duplicates.get(first, 0) + 1
            return Kept(first, duplicate=True)
        self.rows.append(incoming.receipt)
        if incoming.starts:
            (self.held if incoming.held else self.starting).append(incoming.receipt)
        return Kept(receipt_id)


def receipt_effect(receipt: Mapping[str, Any], due_at: Micros) -> dict[str, Any]:
    """The outbox row that turns a receipt into events; it takes the receipt's id."""
    return {
        "id": receipt["id"], "workspace_id": receipt["workspace_id"], "kind": "receipt", "key": receipt["id"],
        "payload": {"receipt_id": receipt["id"]}, "due_at": due_at, "tries": 0,
    }  # fmt: skip
