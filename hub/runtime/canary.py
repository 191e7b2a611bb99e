"""The canary: a message that travels to the worker through the broker, to know that messages still arrive."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from hub.errors import UnavailableError
from hub.runtime.publish import Publisher
from hub.types import Id, Micros, now_us

log = logging.getLogger("hub.keeper")
PATIENCE = 2
"""So many canaries in a row must be lost, while the broker took each of them."""
_LEAST_WAIT = 1.0


@dataclass(slots=True)
class Canary:
    """Sends one every `interval` seconds. A broker that cannot be reached is not a lost canary: it is waited for."""

    publisher: Publisher
    worker_id: Id
    interval: float
    sent_at: Micros | None = None
    seen_at: Micros | None = None
    lost: bool = False
    _number: int = 0
    _seen: int = 0
    _missed: int = 0
    _back: threading.Event = field(default_factory=threading.Event)

    def seen(self, number: int) -> None:
        """The worker has answered."""
        self._seen = max(self._seen, number)
        self.seen_at = now_us()
        self._back.set()

    def run(self, stop: threading.Event) -> None:
        """A thread: send, wait, count, until it is stopped."""
        while not stop.wait(_LEAST_WAIT if self._missed else self.interval):
            self.once()

    def once(self) -> None:
        """Send one and wait for its answer."""
        self._number += 1
        self._back.clear()
        try:
            self.publisher.canary(self.worker_id, self._number)
        except UnavailableError as error:
            self._missed = 0
            log.warning("the worker goes on without the broker: %s", error.detail)
            return
        self.sent_at = now_us()
        answered = self._back.wait(max(self.interval, _LEAST_WAIT)) and self._seen >= self._number
        self._missed = 0 if answered else self._missed + 1
        self.lost = self._missed >= PATIENCE
