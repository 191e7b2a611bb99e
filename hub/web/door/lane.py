"""What an event loop has judged, on its way into the database: gathered, committed together, answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

from hub.errors import HubError
from hub.runtime.receipts import MAX_BATCH, Answer, Incoming, Kept, ReceiptWriter, commit_in_loop, full
from hub.store import Store

log = logging.getLogger("hub.door")
_DOUBTS = 100
_HERE_BYTES = 1_048_576
"""Bytes of bodies that are committed at once in an event loop; a larger one goes to the writer's thread."""
Answered: TypeAlias = Callable[[Answer], None]


class Lane:
    """The receipts of one event loop. Used in its thread.

    What comes in one turn of the loop is one batch, and what comes while one is committed the next. It is committed in
    this thread as long as nobody has to be waited for, since two threads that both want the interpreter hold each other
    up for longer than a commit takes; else by the writer's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, store: Store, writer: ReceiptWriter) -> None:
        self._loop, self._store, self._writer = loop, store, writer
        self._gathered: list[tuple[Answered, Incoming]] = []
        self._is_due = self._commits = False
        self._doubts = 0
        """So many batches are still compared with what came before, since there was a repeat."""

    def add(self, answered: Answered, incoming: Incoming) -> None:
        """Have a receipt committed; `answered` is called in this thread afterwards, or when there is no room."""
        if len(self._gathered) >= self._writer.limit:
            answered(full())
            return
        self._gathered.append((answered, incoming))
        if not (self._is_due or self._commits):
            self._is_due = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._is_due = False
        batch = self._portion()
        if not self._writer.is_idle or batch[0][1].receipt["body_size"] > _HERE_BYTES:
            self._leave(batch)
            return
        self._commits = True

        def done(answers: list[Answer] | None) -> None:
            self._commits = False
            if answers is None or any(isinstance(answer, Kept) and answer.duplicate for answer in answers):
                self._doubts = _DOUBTS
            elif self._doubts:
                self._doubts -= 1
            if answers is None:
                self._leave(batch)
            else:
                resolve([(answered, answer) for (answered, _), answer in zip(batch, answers, strict=True)])
            self._go_on()

        try:
            commit_in_loop(self._store, self._loop, [one for _, one in batch], done, looks=self._doubts > 0)
        except BaseException:
            self._commits = False
            raise

    def _portion(self) -> list[tuple[Answered, Incoming]]:
        """The first that have gathered: as many as are committed in a few milliseconds."""
        size = 0
        for count, (_, incoming) in enumerate(self._gathered[:MAX_BATCH]):
            size += incoming.receipt["body_size"]
            if count and size > _HERE_BYTES:
                break
        else:
            count = MAX_BATCH
        batch, self._gathered = self._gathered[:count], self._gathered[count:]
        return batch

    def _leave(self, batch: list[tuple[Answered, Incoming]]) -> None:
        """Have the writer's thread do it, which may wait."""
        for answered, incoming in batch:
            try:
                self._writer.submit((self._loop, answered), incoming)
            except HubError as error:
                resolve([(answered, error)])
        self._go_on()

    def _go_on(self) -> None:
        if self._gathered and not (self._is_due or self._commits):
            self._is_due = True
            self._loop.call_soon(self._hand_over)


def reply(answers: list[tuple[Any, Answer]]) -> None:
    """Hand the answers of a batch to the event loops that wait for them; one wake-up a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Answered, Answer]]] = {}
    for (loop, answered), answer in answers:
        by_loop.setdefault(loop, []).append((answered, answer))
    for loop, found in by_loop.items():
        try:
            loop.call_soon_threadsafe(resolve, found)
        except RuntimeError:
            log.warning("%d webhooks were kept, but their senders had gone", len(found))


def resolve(found: list[tuple[Answered, Answer]]) -> None:
    """Give everybody his answer."""
    for answered, answer in found:
        try:
            answered(answer)
        except Exception:
            # One connection that cannot be written to must not cost the others of the batch their answers.
            log.exception("an answer could not be written")
