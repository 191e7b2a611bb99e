"""Where the results of this process go and come from: result stores by name, opened when first used."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hub.errors import NotFoundError, PermanentError, TransientError, UnavailableError, UsageError
from hub.resultstores import LOCAL, ResultMissing, ResultStore
from hub.resultstores.files import FileResults
from hub.runtime import brought, connections, contributed
from hub.runtime.executor.results import Stored, Unreadable
from hub.store import sites
from hub.store.base import Store
from hub.types import Id, Scope, new_id

T = TypeVar("T")
PAUSES = (0.2, 1.0, 2.0)
"""Seconds between the tries of a call that may work later."""


class Places:
    """`folder` holds the store `local`; `default` names the store for what is too large for a row."""

    def __init__(
        self, folder: Path, store: Store | None = None, scope: Scope | None = None, *, default: str = LOCAL
    ) -> None:
        self.default = default
        self._folder = folder
        self._store = store
        self._scope = scope or Scope()
        self._open: dict[str, ResultStore] = {}
        self._prefix: str | None = None
        self._lock = threading.Lock()

    def put(self, stored: Stored, name: str, run_id: Id, part: str) -> Stored:
        """Move a result's bytes to the store `name`; they are safe there before its row says so.

        Raises UnavailableError, with the store's name and never its credential.
        """
        if stored.data is None or ":" in stored.format:
            return stored
        data = stored.data
        # Unlike all others: an attempt that was cut off may have left bytes of its own, and they stand. So that a try
        # after one whose answer was lost finds the same bytes.
        key = f"{self.prefix()}/{run_id}/{part}-{new_id()[-12:]}"
        store = self.named(name)
        _patiently(name, f"a result of {len(data)} bytes cannot be kept", lambda: store.put(key, data))
        reference = {"key": key, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        return Stored(json.dumps(reference).encode(), f"{name}:{stored.format}")

    def get(self, stored: Stored) -> Stored:
        """The result with its bytes. Raises Unreadable when they are gone or damaged, UnavailableError when away."""
        name, colon, format_ = stored.format.partition(":")
        if not colon or stored.data is None:
            return stored
        try:
            reference = json.loads(stored.data)
            key, digest = str(reference["key"]), str(reference["sha256"])
            store = self.named(name)
            data = _patiently(name, "a result cannot be read", lambda: store.get(key))
        except (ValueError, KeyError, TypeError):
            raise Unreadable(f"its reference to {name} is damaged") from None
        except (ResultMissing, NotFoundError, UsageError) as gone:
            raise Unreadable(f"it is not in {name} any more: {gone}"[:300]) from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise Unreadable(f"what {name} holds is not what was put there")
        return Stored(data, format_)

    def named(self, name: str) -> ResultStore:
        """The store of that name. Raises NotFoundError, UsageError, UnavailableError."""
        with self._lock:
            if name not in self._open:
                self._open[name] = FileResults(self._folder) if name == LOCAL else self._opened(name)
            return self._open[name]

    def prefix(self) -> str:
        """What keys of this installation begin with."""
        if self._prefix is None:
            self._prefix = "none" if self._store is None else sites.results_prefix(self._store)
        return self._prefix

    def close(self) -> None:
        """Close the stores that hold connections."""
        with self._lock:
            for store in self._open.values():
                close = getattr(store, "close", None)
                if close is not None:
                    close()
            self._open.clear()

    def _opened(self, name: str) -> ResultStore:
        if self._store is None:
            raise UsageError(f"the result store {name!r} needs the hub's store", hint="Unset HUB_JOURNAL.")
        loaded = connections.load(self._store, self._scope, name)
        kind = contributed.installed().stores.get(loaded.kind)
        if kind is None:
            with self._store.read() as tx:
                if brought.plugin_of(tx, "result store", loaded.kind):
                    needed = brought.needs(tx, "result store", loaded.kind)
                    raise UnavailableError(f"the result store {name!r} {needed}", code="kind-unknown")
            raise UsageError(
                f"connection {name!r} is of the kind {loaded.kind!r}, which cannot keep results",
                hint=f"Kinds that can: {', '.join(sorted(contributed.installed().stores))}.",
            )
        try:
            return kind.open(loaded.settings)
        except (PermanentError, TransientError) as error:
            raise _unavailable(name, "the result store cannot be opened", error) from None


def _patiently(name: str, what: str, call: Callable[[], T]) -> T:
    for pause in (*PAUSES, None):
        try:
            return call()
        except PermanentError as error:
            raise _unavailable(name, what, error) from None
        except TransientError as error:
            if pause is None:
                raise _unavailable(name, what, error) from None
        time.sleep(pause)
    raise AssertionError


def _unavailable(name: str, what: str, error: Any) -> UnavailableError:
    hint = f"`hub connections test {name}` tries it." if name != LOCAL else "Free some space, or set HUB_RESULTS."
    return UnavailableError(f"result store {name}: {what}: {error}", hint=hint, code="results-unavailable")
