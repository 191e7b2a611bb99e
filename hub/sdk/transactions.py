"""Transactions: steps that count together, or are undone together. `with transaction() as txn:`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from hub.errors import UsageError
from hub.sdk import port
from hub.types import Id

CommitMode: TypeAlias = Literal["lazy", "eager", "off"]
Isolation: TypeAlias = Literal["read_committed", "serializable"]
TransactionHook: TypeAlias = Callable[["Step"], object]
"""`fn(step)`, sync or async; it gets the step that is committed or undone. What it returns is dropped."""

HOOKS = ("on_commit", "on_rollback")
MISSING: Any = object()


class TransactionHooks(TypedDict, total=False):
    """The options of tasks that name hooks of transactions."""

    on_commit: Iterable[TransactionHook]
    on_rollback: Iterable[TransactionHook]


@dataclass(frozen=True, slots=True)
class WantedTransaction:
    """What an author asks of a transaction."""

    key: str | None = None
    commit_mode: CommitMode | None = None
    isolation: Isolation = "read_committed"
    write_on_commit: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a transaction, as its hooks `on_commit` and `on_rollback` see it.

    `idempotency_key` is the same whenever this step's hooks are called again, wherever that is: give it to whoever is
    asked to undo something, so that it is undone once. `tries` counts the calls from 1. `inputs_digest` tells
    calls with other inputs apart.
    """

    run_id: Id
    task_run_id: Id | None
    task_name: str
    name: str
    inputs_digest: str
    idempotency_key: str
    tries: int
    recall: Callable[[str], Any]
    """The runtime's: gives `result`, `arguments` or `values`; what is kept is read when it is asked for."""

    def __repr__(self) -> str:
        return f"Step({self.name!r}, idempotency_key={self.idempotency_key!r}, tries={self.tries})"

    @property
    def result(self) -> Any:
        """What the task gave. Raises UsageError when it was not kept and its process is gone."""
        return self.recall("result")

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the task was called with, by the names of its parameters. Raises UsageError as `result` does."""
        found: Mapping[str, Any] = self.recall("arguments")
        return found

    def get(self, name: str, default: Any = MISSING) -> Any:
        """A value that was `set` in the step's transaction, or in one around it. Raises UsageError without any."""
        return _value(self.recall("values"), name, default)


class Transaction:
    """Steps that count together: `with` or `async with`. Made by `transaction(...)`."""

    __slots__ = ("_wanted", "held")

    def __init__(self, wanted: WantedTransaction) -> None:
        self._wanted = wanted
        # What the runtime knows of it.
        self.held: Any = None

    def __repr__(self) -> str:
        return f"transaction({self._wanted.key or ''})"

    @property
    def key(self) -> str | None:
        """Its key, as it was given."""
        return self._wanted.key

    @property
    def state(self) -> str:
        """`pending`, `active`, `staged` (left, and part of the one around it), `committed` or `rolled_back`."""
        return "pending" if self.held is None else str(self.held.state)

    def set(self, name: str, value: Any) -> None:
        """Keep a value for the hooks of its steps, and for `get`. Kept for other processes where JSON can carry it."""
        if not isinstance(name, str) or not 0 < len(name) <= 200 or "\0" in name:
            raise UsageError(f"{name!r} is not a name of a value", hint="Give a text of 1 to 200 characters.")
        port.runtime().set_value(self._entered(), name, value)

    def get(self, name: str, default: Any = MISSING) -> Any:
        """A value that was set here, or in a transaction around this one. Raises UsageError without any."""
        return _value(port.runtime().transaction_values(self._entered()), name, default)

    def stage(
        self,
        value: Any = None,
        *,
        on_rollback: TransactionHook | Iterable[TransactionHook] = (),
        on_commit: TransactionHook | Iterable[TransactionHook] = (),
    ) -> Any:
        """Make a step of what the block itself has done: `value` is its result for the hooks. In a loop: await it.

        Another process can call functions that stand at the top level of a file.
        """
        hooks = transaction_hooks({"on_rollback": on_rollback, "on_commit": on_commit})
        return port.runtime().stage_value(self._entered(), value, hooks)

    def commit(self) -> Any:
        """Commit now: nothing of it is undone any more. In a loop: await it."""
        return port.runtime().end_transaction(self._entered(), commit=True)

    def rollback(self) -> Any:
        """Undo its steps now, last first. In a loop: await it."""
        return port.runtime().end_transaction(self._entered(), commit=False)

    def is_committed(self) -> bool:
        """Whether a transaction with its key has committed, in whatever run; of one without a key, whether this has."""
        return bool(self._entered().held.is_committed())

    def __enter__(self) -> Transaction:
        self._once()
        port.runtime().enter_transaction(self, self._wanted, on_loop=False)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        port.runtime().leave_transaction(self, error, on_loop=False)

    def __aenter__(self) -> Awaitable[Transaction]:
        self._once()
        return port.runtime().enter_transaction(self, self._wanted, on_loop=True)  # type: ignore[no-any-return]

    def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> Awaitable[None]:
        return port.runtime().leave_transaction(self, error, on_loop=True)  # type: ignore[no-any-return]

    def _once(self) -> None:
        if self.held is not None:
            raise UsageError(f"{self!r} was entered before", hint="Write transaction(...) anew for each block.")

    def _entered(self) -> Transaction:
        if self.held is None:
            raise UsageError(f"{self!r} is not entered", hint="Write `with transaction() as txn:`.")
        return self


def transaction(
    key: str | None = None,
    *,
    commit_mode: CommitMode | None = None,
    isolation: Isolation = "read_committed",
    write_on_commit: bool = True,
) -> Transaction:
    """A block whose tasks count together. When it raises, the `on_rollback` hooks of those that are done are called.

        with transaction(): ...
        async with transaction(key=f"order-{number}") as txn: ...

    `commit_mode`: `lazy` commits when the outermost block ends well, `eager` at the end of the block or task, `off`
    rolls back at the block's end unless `txn.commit()` was called; None: as the block around it, else lazy.
    `key`: remembered when it commits, for `txn.is_committed()` in any run. `isolation="serializable"`: of all blocks
    with that key, one at a time. `write_on_commit`: results of tasks with a cache policy reach the cache at the commit.
    """
    if key is not None and (not isinstance(key, str) or not 0 < len(key) <= 500 or "\0" in key):
        raise UsageError(f"key={key!r} is not a key", hint="Give a text of 1 to 500 characters.")
    if commit_mode is not None and commit_mode not in get_args(CommitMode):
        raise UsageError(f"commit_mode={commit_mode!r} is not one", hint=f"Modes: {', '.join(get_args(CommitMode))}.")
    if isolation not in get_args(Isolation):
        raise UsageError(f"isolation={isolation!r} is not one", hint=f"Choose: {', '.join(get_args(Isolation))}.")
    if isolation == "serializable" and key is None:
        raise UsageError("isolation='serializable' needs a key", hint="Blocks with the same key take turns.")
    return Transaction(WantedTransaction(key, commit_mode, isolation, bool(write_on_commit)))


def transaction_hooks(given: Mapping[str, Any]) -> dict[str, tuple[TransactionHook, ...]]:
    """The hooks of transactions that an author named. Raises UsageError for what cannot be called."""
    found = {}
    for event in HOOKS:
        hooks = given.get(event) or ()
        known = (hooks,) if callable(hooks) else tuple(hooks) if isinstance(hooks, Iterable) else (hooks,)
        for hook in known:
            if not callable(hook):
                raise UsageError(f"{event}={hook!r} cannot be called", hint=f"Give functions: {event}=[fn], fn(step).")
        if known:
            found[event] = known
    return found


def _value(values: Mapping[str, Any], name: str, default: Any) -> Any:
    if name in values:
        return values[name]
    if default is not MISSING:
        return default
    raise UsageError(
        f"the transaction has no value {name!r}", hint=f"Set: {', '.join(sorted(values)) or 'none'}.", code="no-value"
    )
