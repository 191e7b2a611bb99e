"""What the SDK's door offers for transactions: `with`, `async with`, and their methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub.errors import UsageError
from hub.runtime.executor import staging, transactions
from hub.runtime.executor.calls import alone
from hub.runtime.executor.loops import running_loop
from hub.runtime.executor.steps import Life, drive, drive_on_loop
from hub.runtime.executor.transactions import Txn, active
from hub.sdk.context import current
from hub.sdk.transactions import Transaction, WantedTransaction


def enter_transaction(block: Transaction, wanted: WantedTransaction, *, on_loop: bool) -> Any:
    """Begin a block; with `on_loop` as a coroutine."""
    if on_loop:
        return drive_on_loop(_enter(block, wanted))
    if running_loop() is not None:
        raise UsageError("`with transaction(...)` would block the event loop", hint="Write `async with`.")
    return drive(_enter(block, wanted))


def leave_transaction(block: Transaction, error: BaseException | None, *, on_loop: bool) -> Any:
    """End a block, with the error that its code raised; with `on_loop` as a coroutine."""
    return (drive_on_loop if on_loop else drive)(_leave(block.held, error))


def end_transaction(block: Transaction, *, commit: bool) -> Any:
    """Commit or undo before the block ends: here, or as a coroutine where a loop runs."""
    return _here(lambda: _end(block.held, commit=commit))


def stage_value(block: Transaction, value: Any, hooks: Any) -> Any:
    """Stage what the block itself has done: here, or as a coroutine where a loop runs."""
    return _here(lambda: staging.by_hand(block.held, value, hooks))


def set_value(block: Transaction, name: str, value: Any) -> None:
    """Keep a value."""
    staging.keep_values(block.held, name, value)


def transaction_values(block: Transaction) -> Any:
    """The values of a block and of those around it."""
    return block.held.values()


def _here(life: Callable[[], Life]) -> Any:
    return drive(life()) if running_loop() is None else drive_on_loop(life())


def _enter(block: Transaction, wanted: WantedTransaction) -> Life:
    context, token = current.get(), None
    if context is None:
        context = alone()
        token = current.set(context)
    context.session.root.check_body(context)
    txn = transactions.block(context, wanted)
    txn.alone, txn.before = token, active.get()
    try:
        yield from transactions.enter(txn)
    except BaseException:
        _reset(txn)
        raise
    block.held = txn
    active.set(txn)
    return block


def _leave(txn: Txn, error: BaseException | None) -> Life:
    try:
        yield from transactions.leave(txn, error)
    finally:
        active.set(txn.before)
        _reset(txn)


def _reset(txn: Txn) -> None:
    if txn.alone is not None:
        current.reset(txn.alone)


def _end(txn: Txn, *, commit: bool) -> Life:
    if txn.closed:
        raise UsageError(f"the transaction is {txn.state} already")
    txn.session.root.check_body(txn.context)
    yield from transactions.settle(txn)
    yield from (transactions.commit if commit else transactions.roll_back)(txn)
