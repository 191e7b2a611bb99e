"""Where a run's transactions keep their steps: in the store, or in memory where a run leaves no record."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from hub.runtime.journal import AttemptLost
from hub.runtime.journal_sql import Fence
from hub.store import attempts, transactions
from hub.store.base import Store, Tx
from hub.types import Id, Scope

Row = Mapping[str, Any]


class Ledger(Protocol):
    """Every change raises AttemptLost when the run is no longer this attempt's."""

    def added(self, row: Row) -> None:
        """A step was staged whose row the journal does not write."""

    def move(self, key: Id, path: str) -> str | None:
        """A step of an earlier attempt is part of that transaction; its state, None when it was never staged."""

    def commit(self, path: str, key: str | None) -> None:
        """Keep a transaction's steps for good, and its key in mind."""

    def staged(self, path: str) -> list[dict[str, Any]]:
        """The steps of a transaction that have hooks for its commit, first one first."""

    def begin_rollback(self, path: str) -> list[dict[str, Any]]:
        """From here on a transaction is undone; its steps with hooks, last first."""

    def to_undo(self, path: str) -> list[dict[str, Any]]:
        """What was being rolled back when an earlier attempt ended, last first."""

    def note(self, row: Row, **values: Any) -> None:
        """Note what came of an attempt to undo a step."""

    def give_up(self, row: Row, error: str, rollback_run_id: Id) -> None:
        """A step cannot be undone: say so, for good."""

    def lost(self) -> list[dict[str, Any]]:
        """The steps that could not be undone."""

    def put_values(self, path: str, data: bytes | None, format_: str) -> None:
        """Keep the values of a transaction."""

    def values(self, path: str) -> list[dict[str, Any]]:
        """Those of a transaction and of the ones around it, the outermost first."""

    def is_committed(self, key: str) -> bool:
        """Whether a transaction with that key has committed."""

    def hold(self, key: str, holder: str, mine: Iterable[str]) -> bool:
        """Be the only one with that key; False while another is."""

    def release(self, key: str, holder: str) -> None:
        """Let the next one have it."""


class StoreLedger:
    """See Ledger."""

    def __init__(self, store: Store, scope: Scope, fence: Fence, owner: Id | None = None) -> None:
        self._store = store
        self._scope = scope
        self._fence = fence
        self._owner = owner or fence.run_id

    @contextmanager
    def _write(self, *, durable: bool = True) -> Iterator[Tx]:
        fence = self._fence
        with self._store.write(durable=durable) as tx:
            if not transactions.held(tx, self._scope, fence.run_id, fence.attempt, fence.epoch):
                raise AttemptLost(f"attempt {fence.attempt} was given up")
            yield tx

    def added(self, row: Row) -> None:
        """See Ledger.added."""
        with self._write() as tx:
            tx.insert_missing(transactions.TABLE, row)

    def move(self, key: Id, path: str) -> str | None:
        """See Ledger.move."""
        with self._write(durable=False) as tx:
            return transactions.move(tx, self._scope, key, self._owner, path)

    def commit(self, path: str, key: str | None) -> None:
        """See Ledger.commit."""
        with self._write() as tx:
            transactions.commit(tx, self._scope, self._owner, path)
            if key is not None:
                transactions.commit_key(tx, self._scope, key, self._owner)

    def staged(self, path: str) -> list[dict[str, Any]]:
        """See Ledger.staged."""
        with self._store.read() as tx:
            return transactions.to_commit(tx, self._scope, self._owner, path)

    def begin_rollback(self, path: str) -> list[dict[str, Any]]:
        """See Ledger.begin_rollback."""
        with self._write() as tx:
            transactions.begin_rollback(tx, self._scope, self._owner, path)
            return transactions.to_undo(tx, self._scope, self._owner, path)

    def to_undo(self, path: str) -> list[dict[str, Any]]:
        """See Ledger.to_undo."""
        with self._store.read() as tx:
            return transactions.to_undo(tx, self._scope, self._owner, path)

    def note(self, row: Row, **values: Any) -> None:
        """See Ledger.note."""
        with self._write(durable=False) as tx:
            transactions.note(tx, self._scope, row, **values)

    def give_up(self, row: Row, error: str, rollback_run_id: Id) -> None:
        """See Ledger.give_up."""
        with self._write() as tx:
            transactions.give_up(tx, self._scope, row, error, rollback_run_id)

    def lost(self) -> list[dict[str, Any]]:
        """See Ledger.lost."""
        with self._store.read() as tx:
            return transactions.lost(tx, self._scope, self._owner)

    def put_values(self, path: str, data: bytes | None, format_: str) -> None:
        """See Ledger.put_values."""
        with self._write(durable=False) as tx:
            transactions.use_arguments(tx, self._scope, self._owner, data, format_)
            transactions.put_values(tx, transactions.values_row(self._scope, self._owner, path, data, format_))

    def values(self, path: str) -> list[dict[str, Any]]:
        """See Ledger.values."""
        with self._store.read() as tx:
            return transactions.values(tx, self._scope, self._owner, path)

    def is_committed(self, key: str) -> bool:
        """See Ledger.is_committed."""
        with self._store.read() as tx:
            return transactions.is_committed(tx, self._scope, key)

    def hold(self, key: str, holder: str, mine: Iterable[str]) -> bool:
        """See Ledger.hold."""
        fence = self._fence
        attempt = attempts.attempt_id(fence.run_id, fence.attempt)
        with self._write(durable=False) as tx:
            return transactions.hold(
                tx, self._scope, key, run_id=fence.run_id, attempt_id=attempt, holder=holder, mine=mine
            )

    def release(self, key: str, holder: str) -> None:
        """See Ledger.release."""
        with self._store.write(durable=False) as tx:
            transactions.release(tx, self._scope, key, holder)


_committed: set[str] = set()
_keys = threading.Lock()
"""Keys of transactions of this process, for runs that leave no record."""


class MemoryLedger:
    """See Ledger: for runs without a store. Keys are known to this process only."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}

    def added(self, row: Row) -> None:
        """See Ledger.added."""
        with self._lock:
            self._rows.append(dict(row))

    def move(self, key: Id, path: str) -> str | None:  # noqa: ARG002 - there are no earlier attempts to tell of
        """See Ledger.move."""
        return None

    def commit(self, path: str, key: str | None) -> None:
        """See Ledger.commit."""
        with self._lock:
            self._rows = [row for row in self._rows if not _within(row, path)]
        if key is not None:
            with _keys:
                _committed.add(key)

    def staged(self, path: str) -> list[dict[str, Any]]:
        """See Ledger.staged."""
        with self._lock:
            found = [dict(row) for row in self._rows if _within(row, path) and row["state"] == "staged"]
        return [row for row in found if row["commits"]]

    def begin_rollback(self, path: str) -> list[dict[str, Any]]:
        """See Ledger.begin_rollback."""
        with self._lock:
            for row in self._rows:
                if _within(row, path):
                    row["state"] = "rolling_back"
        return self.to_undo(path)

    def to_undo(self, path: str) -> list[dict[str, Any]]:
        """See Ledger.to_undo."""
        with self._lock:
            found = [row for row in self._rows if row["state"] == "rolling_back" and (not path or _within(row, path))]
        return [row for row in reversed(found) if row["hooks"]]

    def note(self, row: Row, **values: Any) -> None:
        """See Ledger.note."""
        with self._lock:
            for known in self._rows:
                if known["id"] == row["id"]:
                    known.update(values)

    def give_up(self, row: Row, error: str, rollback_run_id: Id) -> None:  # noqa: ARG002 - the protocol's signature
        """See Ledger.give_up."""
        self.note(row, state="failed", error=error)

    def lost(self) -> list[dict[str, Any]]:
        """See Ledger.lost."""
        with self._lock:
            return [row for row in self._rows if row["state"] == "failed"]

    def put_values(self, path: str, data: bytes | None, format_: str) -> None:
        """See Ledger.put_values: those in memory are all there are."""

    def values(self, path: str) -> list[dict[str, Any]]:  # noqa: ARG002 - the protocol's signature
        """See Ledger.values."""
        return []

    def is_committed(self, key: str) -> bool:
        """See Ledger.is_committed."""
        with _keys:
            return key in _committed

    def hold(self, key: str, holder: str, mine: Iterable[str]) -> bool:
        """See Ledger.hold."""
        with self._lock:
            known = self._held.get(key)
            if known is not None and known not in mine:
                return False
            self._held[key] = holder
            return True

    def release(self, key: str, holder: str) -> None:
        """See Ledger.release."""
        with self._lock:
            if self._held.get(key) == holder:
                del self._held[key]


def _within(row: Row, path: str) -> bool:
    return bool(row["path"] == path or str(row["path"]).startswith(f"{path}/"))
