"""Keeps attempts alive that live in this process, and hears when their runs are to be cancelled."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from hub.errors import HubError
from hub.store import attempts, runs
from hub.store.base import Store
from hub.types import Id, Scope

_log = logging.getLogger("hub.heartbeat")


class Heartbeat:
    """A daemon thread that renews leases. `cancelled` is called once with the id of a run that is to be cancelled."""

    def __init__(
        self, store: Store, scope: Scope, *, lease_s: float, every_s: float, cancelled: Callable[[Id], object]
    ) -> None:
        self._store = store
        self._scope = scope
        self._lease_s = lease_s
        self._every_s = every_s
        self._cancelled = cancelled
        self._attempts: dict[Id, Id] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: set[Id] = set()

    def add(self, attempt_id: Id, run_id: Id) -> None:
        """Keep an attempt alive from now on."""
        self._attempts[attempt_id] = run_id
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hub-heartbeat", daemon=True)
            self._thread.start()

    def remove(self, attempt_id: Id | None) -> None:
        """Its run has ended."""
        if attempt_id is not None:
            self._attempts.pop(attempt_id, None)

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._beat()
            except HubError as error:
                _log.warning("leases could not be renewed: %s", error.detail)
            except Exception:  # noqa: BLE001 - the next beat may do better, and the lease tells the rest
                _log.exception("leases could not be renewed")

    def _beat(self) -> None:
        held = dict(self._attempts)
        if not held:
            return
        with self._store.write(durable=False) as tx:
            attempts.renew(tx, list(held), lease_s=self._lease_s)
            wanted = runs.to_be_cancelled(tx, held.values())
        for run_id in wanted - self._told:
            self._told.add(run_id)
            self._cancelled(run_id)
