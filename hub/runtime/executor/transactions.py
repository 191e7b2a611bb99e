"""Transactions while they are under way: what is part of them, how they commit, how they are undone.

A block is a transaction, and so is a task to the tasks that it calls. Each step that completes in one is staged in
the same commit as its completion; committing and undoing go by the rows, so that it does not matter which attempt of
the run staged them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from hub.errors import RollbackPending
from hub.runtime.executor.ledger import Ledger, MemoryLedger, StoreLedger
from hub.runtime.executor.steps import Blocking, Gather, Life, Pause
from hub.runtime.executor.undoing import call_hooks, passes_on, undo
from hub.runtime.journal import AttemptLost
from hub.sdk.context import RunContext
from hub.sdk.transactions import CommitMode, WantedTransaction
from hub.types import Id

if TYPE_CHECKING:
    from hub.runtime.executor.session import Session
    from hub.sdk.futures import Future

_log = logging.getLogger("hub.transactions")
TRIES_HERE = 3
_MANY = 5_000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
active: ContextVar[Txn | None] = ContextVar("hub_transaction", default=None)
TxnState = Literal["active", "staged", "committed", "rolled_back"]


class Txn:
    """A transaction of this process. `context`: the code that it is around."""

    __slots__ = (
        "_values", "alone", "before", "commits", "context", "dirty", "explicit", "known", "many", "mode", "parent",
        "path", "pending", "publishes", "state", "wanted",
    )  # fmt: skip

    def __init__(
        self, context: RunContext, parent: Txn | None, path: str, wanted: WantedTransaction, *, explicit: bool
    ) -> None:  # fmt: skip
        self.context = context
        self.parent = parent
        self.path = path
        self.wanted = wanted
        self.explicit = explicit
        """Whether it is a block, and not a task."""
        self.mode: CommitMode = wanted.commit_mode or (parent.mode if parent is not None else "lazy")
        self.state: TxnState = "active"
        self.dirty = not first_attempt(context.session)
        """Whether something may be staged in it or within it."""
        self.commits = self.dirty
        """Whether hooks may have to be called when it commits."""
        self.pending: list[Future[Any]] = []
        self.many = _MANY
        self.publishes: list[Callable[[], object]] = []
        self.known = False
        """Whether its key had been committed before it began."""
        self.before: Txn | None = None
        """What was active around it."""
        self.alone: Any = None
        """How the context of a block outside any run is taken back."""
        self._values: dict[str, Any] = {}

    @property
    def session(self) -> Session:
        """The attempt that it is part of."""
        found: Session = self.context.session
        return found

    @property
    def closed(self) -> bool:
        """Whether nothing is added to it any more."""
        return self.state != "active"

    def is_committed(self) -> bool:
        """See the SDK."""
        return self.known or self.state == "committed"

    def values(self) -> dict[str, Any]:
        """Its values and those around it."""
        return {**(self.parent.values() if self.parent is not None else {}), **self._values}

    def own(self) -> dict[str, Any]:
        """Its own values."""
        return self._values

    def chain(self) -> list[Txn]:
        """It and those around it."""
        return [self, *(self.parent.chain() if self.parent is not None else [])]

    def add(self, futures: Iterable[Future[Any]]) -> None:
        """Note submitted tasks, so that it waits for them. Those that have ended are let go now and then."""
        self.pending.extend(futures)
        if len(self.pending) > self.many:
            self.pending = [future for future in self.pending if not future.done()]
            self.many = max(_MANY, 2 * len(self.pending))

    def touch(self, *, commits: bool) -> None:
        """Note that something is staged in it."""
        for one in self.chain():
            one.dirty = True
            one.commits = one.commits or commits


# --- which one ------------------------------------------------------------------------------------------------------


def around(context: RunContext, *, hooked: object = False) -> Txn | None:
    """The transaction that a call made by the code of `context` is part of. `hooked`: whether the call has hooks."""
    found = active.get()
    while found is not None and found.context is context:
        if not found.closed:
            return found
        found = found.parent
    outer: Txn | None = context.around
    if context.task_run_id is None:
        return outer
    if context.inner is None and (outer is not None or hooked):
        context.inner = _within(context)
    inner: Txn | None = context.inner
    return inner


def block(context: RunContext, wanted: WantedTransaction) -> Txn:
    """A new block in the code of `context`."""
    parent = around(context, hooked=True)
    session: Session = context.session
    base = _base(context, parent)
    number = session.ordinals.take(f"transaction:{base}:{context.step}")
    return Txn(context, parent, _path(base, "block", context.step, str(number)), wanted, explicit=True)


def _within(context: RunContext) -> Txn:
    """A task as the transaction of what it calls."""
    parent: Txn | None = context.around
    path = _path(_base(context, parent), "task", context.step)
    return Txn(context, parent, path, WantedTransaction(), explicit=False)


def place_of(step_key: str, outer: Session, parent: Txn | None) -> str:
    """Where the transactions of a nested flow are."""
    return _path(parent.path if parent is not None else outer.place, "flow", step_key)


def _base(context: RunContext, parent: Txn | None) -> str:
    session: Session = context.session
    return parent.path if parent is not None and parent.session is session else session.place


def _path(base: str, *parts: str) -> str:
    part = blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{base}/{part}" if base else part


def ledger_of(session: Session) -> Ledger:
    """Where the transactions of this attempt are kept."""
    root = session.root
    fence = session.journal.fence()
    if root.store is not None and fence is not None:
        return StoreLedger(root.store, root.scope, fence, session.owner)
    if root.ledger is None:
        root.ledger = MemoryLedger()
    return root.ledger


def owner_of(txn: Txn) -> Id:
    """The run that commits it, or whose end without that has it undone."""
    fence = txn.session.journal.fence()
    return txn.session.owner or (fence.run_id if fence is not None else txn.session.info.run_id)


def first_attempt(session: Session) -> bool:
    """Whether nothing can have been staged before."""
    fence = session.journal.fence()
    return (fence is None or fence.attempt == 1) and session.owner is None


# --- lives ----------------------------------------------------------------------------------------------------------


def enter(txn: Txn) -> Life:
    """Begin a block: wait for its key where it wants to be the only one."""
    wanted, ledger = txn.wanted, ledger_of(txn.session)
    key = wanted.key
    if key is not None and wanted.isolation == "serializable":
        pause, mine = _FIRST_PAUSE, {_holder(one) for one in txn.chain()}
        while not (yield Blocking(lambda: ledger.hold(key, _holder(txn), mine))):
            txn.session.branch.check()
            yield Pause(pause, txn.session.branch.stop)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
    if key is not None:
        txn.known = yield Blocking(lambda: ledger.is_committed(key))


def leave(txn: Txn, error: BaseException | None) -> Life:
    """The code of a transaction has ended, with or without an error. Gives whether nothing is left to be undone."""
    if txn.closed:
        return True
    if _goes_on_later(txn):
        return False
    if error is None:
        yield from settle(txn)
        if txn.mode == "eager":
            yield from commit(txn)
        elif txn.mode == "off" and txn.explicit and (txn.parent is None or txn.wanted.commit_mode == "off"):
            return (yield from roll_back(txn))
        elif txn.parent is None:
            yield from commit(txn)
        else:
            _hand_up(txn, txn.parent)
            yield from _release(txn)
        return True
    root = txn.session.root
    if passes_on(error) or (root.stop.is_set() and not root.here):
        # It stays staged: the next attempt goes on with it, or whoever undoes an ended run's steps.
        return False
    yield Gather([] if txn.session.branch.stop.is_set() else _unfinished(txn))
    return (yield from roll_back(txn))


def settle(txn: Txn) -> Life:
    """Wait for what was submitted in it. Raises the departure of a run that leaves because a task of it rests."""
    yield Gather(_unfinished(txn))
    if txn.session.resting:
        raise txn.session.root.leave(txn.session.resting[0])


def _goes_on_later(txn: Txn) -> bool:
    """Whether its flow leaves the process, whatever its code has made of that: the next attempt goes on with it."""
    return txn.session.root.leaving is not None and txn.context.task_run_id is None


def left(context: RunContext, error: BaseException | None) -> Life:
    """The same for a task that was a transaction to what it called."""
    inner: Txn | None = context.inner
    return True if inner is None else (yield from leave(inner, error))


def commit(txn: Txn) -> Life:
    """Call the hooks for that, then keep its steps for good. Undoes it when a hook raises, and raises that."""
    ledger, session = ledger_of(txn.session), txn.session
    if txn.commits:
        rows = yield Blocking(lambda: ledger.staged(txn.path))
        try:
            for row in rows:
                yield from call_hooks(session, ledger, row, "on_commit")
        except Exception:
            yield from roll_back(txn)
            raise
    if txn.dirty or txn.wanted.key is not None:
        yield Blocking(lambda: ledger.commit(txn.path, txn.wanted.key))
    txn.state = "committed"
    for publish in txn.publishes:
        yield Blocking(publish)
    yield from _release(txn)
    _forget(txn)


def roll_back(txn: Txn) -> Life:
    """Undo its steps, last first; gives whether all are. What cannot be undone here is left to a worker."""
    ledger = ledger_of(txn.session)
    txn.state = "rolled_back"
    txn.publishes.clear()
    whole = True
    try:
        if txn.dirty:
            rows = yield Blocking(lambda: ledger.begin_rollback(txn.path))
            whole = (yield from _undo(txn.session, ledger, rows)) is None
    except AttemptLost as lost:
        if not txn.session.root.here:
            raise
        _log.warning("its transaction is undone by somebody else: %s", lost)
        return False
    yield from _release(txn)
    _forget(txn)
    return whole


def finish(session: Session) -> Life:
    """Undo what an earlier attempt began to undo. Raises RollbackPending where that cannot be done."""
    if session.info.attempt == 1:
        return
    ledger = ledger_of(session)
    rows = yield Blocking(lambda: ledger.to_undo(session.place))
    left = yield from _undo(session, ledger, rows)
    if left is not None:
        raise RollbackPending(f"an earlier attempt's {left['name']} is not undone yet: {left['error']}")


def _undo(session: Session, ledger: Ledger, rows: list[dict[str, Any]]) -> Life:
    """Undo one after the other; stops at the first that cannot be, and gives it."""
    for row in rows:
        if (error := (yield from undo(session, ledger, row, tries=TRIES_HERE))) is not None:
            return {**row, "error": str(error)}
    return None


def _hand_up(txn: Txn, parent: Txn) -> None:
    txn.state = "staged"
    parent.publishes += txn.publishes
    if txn.dirty:
        parent.touch(commits=txn.commits)


def _release(txn: Txn) -> Life:
    if txn.explicit and txn.wanted.isolation == "serializable" and txn.wanted.key is not None:
        key, ledger = txn.wanted.key, ledger_of(txn.session)
        yield Blocking(lambda: ledger.release(key, _holder(txn)))


def _holder(txn: Txn) -> str:
    fence = txn.session.journal.fence()
    return f"{fence.run_id if fence is not None else id(txn.session.root)}:{txn.path}"


def _unfinished(txn: Txn) -> list[Future[Any]]:
    return [future for future in txn.pending if not future.done()]


def _forget(txn: Txn) -> None:
    """Let go of what this process holds of its steps."""
    live = txn.session.root.live
    for key in [key for key, held in list(live.items()) if _is_within(held.path, txn.path)]:
        live.pop(key, None)


def _is_within(path: str, outer: str) -> bool:
    return path == outer or path.startswith(f"{outer}/")
