"""One listener for all in a run who wait for the same wake-ups; its thread lives while somebody waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hub.store.base import Listener, Store

_log = logging.getLogger("hub.bell")
_LOOK_S = 1.0


class Bell:
    """Rings for topics of the store's wake-ups."""

    def __init__(self, store: Store, *topics: str) -> None:
        self._store = store
        self._topics = topics
        self._lock = threading.Lock()
        self._calls: list[Callable[[], object]] = []
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def heard(self, call: Callable[[], object]) -> Iterator[None]:
        """While in the block, `call` is called (by another thread) at every wake-up that comes."""
        with self._lock:
            self._calls.append(call)
            if self._thread is None:
                opened = threading.Event()
                self._thread = threading.Thread(target=self._run, args=(opened,), name="hub-bell", daemon=True)
                self._thread.start()
                # What is looked up after this cannot change unheard.
                opened.wait(5.0)
        try:
            yield
        finally:
            with self._lock:
                self._calls.remove(call)

    def close(self) -> None:
        """End the thread at its next look."""
        self._closed = True

    def _run(self, opened: threading.Event) -> None:
        try:
            listener = self._store.listen(*self._topics)
        except Exception as error:  # noqa: BLE001 - who waits looks now and then all the same
            _log.warning("wake-ups are not heard, waiting polls: %s", error)
            with self._lock:
                self._thread = None
            opened.set()
            return
        opened.set()
        try:
            while self._wanted():
                self._listen(listener)
        finally:
            listener.close()

    def _wanted(self) -> bool:
        with self._lock:
            if self._calls and not self._closed:
                return True
            # Under the lock: whoever comes next starts a new thread.
            self._thread = None
            return False

    def _listen(self, listener: Listener) -> None:
        try:
            heard = listener.wait(_LOOK_S)
        except Exception as error:  # noqa: BLE001 - as above; a broken listener must not spin
            _log.debug("wake-ups are not heard: %s", error)
            threading.Event().wait(_LOOK_S)
            return
        if heard:
            for call in list(self._calls):
                call()
