"""Making steps part of a transaction: tasks that complete in it, and what a block stages by hand."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hub.errors import UsageError
from hub.runtime import loader
from hub.runtime.executor import results
from hub.runtime.executor.digests import step_key
from hub.runtime.executor.results import Stored
from hub.runtime.executor.steps import Blocking, Life
from hub.runtime.executor.texts import NAME_CHARS, clean
from hub.runtime.executor.transactions import Txn, ledger_of, owner_of
from hub.runtime.executor.undoing import FUNCTIONS, TASK, Called, Live
from hub.sdk.context import RunContext
from hub.sdk.transactions import Step, TransactionHook
from hub.store import transactions as rows
from hub.types import Id, derived_id, now_us

if TYPE_CHECKING:
    from hub.runtime.executor.session import Recalled, Session
    from hub.runtime.executor.tasklife import Call

_UNFOUND = (
    "{} can be undone only by this process: {}. Its hooks are not called if it is killed. Put them at the top level of "
    "a file that workers have."
)
_UNKEPT = "the {} of {} are not kept for other processes: a hook that is called elsewhere does not get them"


def completing(call: Call, value: Any, stored: Stored | None) -> Life:
    """A task has given its value; gives what writes the row that stages it, None when it is part of no transaction.

    Outside a transaction, and in an eager one, it commits by itself: its hooks are called now, as a part of it.
    """
    txn, hooks = call.txn, call.options.transaction_hooks
    if txn is None or txn.mode == "eager":
        if hooks.get("on_commit"):
            yield from _alone(call, value)
        return None
    assert call.record is not None
    attempt = call.record.run.attempt
    session, key = call.session, rows.compensation_id(call.id, attempt)
    row = _blank(session, txn, key)
    row |= {
        "task_run_id": call.id, "task_attempt": attempt, "task_name": clean(call.task_name, NAME_CHARS),
        "name": clean(call.name, NAME_CHARS),
    }  # fmt: skip
    if hooks:
        serializer = call.options.result_serializer or session.result_serializer
        row |= {"hooks": len(hooks.get("on_rollback", ())), "commits": len(hooks.get("on_commit", ()))}
        row |= {"call": _task_call(call), "serializer": serializer}
        row["inputs_digest"] = step_key("", call.task.key, call.args, call.kwargs)
        if stored is not None:
            row |= {"result": stored.data, "result_format": stored.format}
        given = yield from _kept(session, key, [list(call.args), call.kwargs], serializer, f"arguments of {call.name}")
        row |= {"arguments": given.data, "arguments_format": given.format}
        session.root.live[key] = _live(call, value, txn)
    txn.touch(commits=bool(hooks.get("on_commit")))
    if session.journal.fence() is None:
        ledger_of(session).added(row)
    return lambda tx: tx.insert_ignore(rows.TABLE, row)


def recalled(call: Call, found: Recalled) -> Life:
    """A task that an earlier attempt has done is part of the transaction that it is met in now."""
    txn = call.txn
    if txn is None:
        return
    key, ledger = rows.compensation_id(found.known.id, found.known.attempt), ledger_of(call.session)
    state = yield Blocking(lambda: ledger.move(key, txn.path))
    if state == "staged":
        hooks = call.options.transaction_hooks
        if hooks:
            call.session.root.live[key] = _live(call, found.value, txn)
        txn.touch(commits=bool(hooks.get("on_commit")))


def by_hand(txn: Txn, value: Any, hooks: Mapping[str, tuple[TransactionHook, ...]]) -> Life:
    """Stage what a block itself has done."""
    if txn.closed:
        raise UsageError(f"the transaction is {txn.state}: nothing is added to it any more")
    session, ledger = txn.session, ledger_of(txn.session)
    session.root.check_body(txn.context)
    number = session.ordinals.take(f"stage:{txn.path}")
    key = yield Blocking(lambda: _free(txn, number))
    if key is None:
        return
    row = _blank(session, txn, key)
    name = f"{session.info.flow_name or 'transaction'}: step {number + 1}"
    kept = yield from _kept(session, key, value, session.result_serializer, f"value of {name}")
    row |= {
        "task_name": "", "name": clean(name, NAME_CHARS), "hooks": len(hooks.get("on_rollback", ())),
        "commits": len(hooks.get("on_commit", ())), "call": _function_call(session, name, hooks), "task_attempt": 0,
        "result": kept.data, "result_format": kept.format, "serializer": session.result_serializer,
    }  # fmt: skip
    session.root.live[key] = Live(txn.path, hooks, value, dict, txn.values)
    yield Blocking(lambda: ledger.added(row))
    txn.touch(commits=bool(hooks.get("on_commit")))


def keep_values(txn: Txn, name: str, value: Any) -> None:
    """Keep a value of a transaction, for every process."""
    if txn.closed:
        raise UsageError(f"the transaction is {txn.state}: its values do not change any more")
    txn.own()[name] = value
    carried = {}
    for known, held in txn.own().items():
        if results.encode(held).kept:
            carried[known] = held
        elif known == name:
            txn.session.log(txn.context.task_run_id, logging.INFO, "hub", _UNKEPT.format("values", name))
    stored = results.encode(carried)
    if stored.data is not None and len(stored.data) > results.INLINE_BYTES:
        places = txn.session.root.places
        part = f"{derived_id(owner_of(txn), txn.path)}-set"
        stored = places.put(stored, places.default, txn.session.info.run_id, part)
    ledger_of(txn.session).put_values(txn.path, stored.data, stored.format)


def _free(txn: Txn, number: int) -> Id | None:
    """The id for a step staged by hand; None when an earlier attempt has staged it, and that stands."""
    ledger = ledger_of(txn.session)
    for generation in itertools.count():
        key = derived_id(owner_of(txn), "stage", txn.path, str(number), str(generation))
        state = ledger.move(key, txn.path)
        if state in ("staged", "committed"):
            txn.touch(commits=True)
            return None
        if state is None:
            return key
    raise AssertionError


def _blank(session: Session, txn: Txn, key: Id) -> dict[str, Any]:
    return {
        "id": key, "workspace_id": session.root.scope.workspace_id, "run_id": session.info.run_id,
        "owner_run_id": owner_of(txn), "task_run_id": None, "path": txn.path, "state": "staged", "hooks": 0,
        "commits": 0, "call": "", "serializer": None, "inputs_digest": "", "arguments": None, "arguments_format": None,
        "result": None, "result_format": None, "tries": 0, "created_at": now_us(),
    }  # fmt: skip


def _live(call: Call, value: Any, txn: Txn) -> Live:
    def arguments() -> Mapping[str, Any]:
        return call.wrapped.arguments(call.args, call.kwargs)

    return Live(txn.path, call.options.transaction_hooks, value, arguments, txn.values)


def _alone(call: Call, value: Any) -> Life:
    """Commit a task that is a transaction of its own; when that fails it is undone, and fails."""
    hooks = call.options.transaction_hooks
    assert call.record is not None
    key = rows.compensation_id(call.id, call.record.run.attempt)
    given = {"result": lambda: value, "arguments": lambda: call.wrapped.arguments(call.args, call.kwargs)}
    values: Callable[[], Any] = call.txn.values if call.txn is not None else dict
    step = Step(
        call.session.info.run_id, call.id, call.task_name, call.name,
        step_key("", call.task.key, call.args, call.kwargs), key, 1, lambda what: {**given, "values": values}[what](),
    )  # fmt: skip
    try:
        for hook in hooks["on_commit"]:
            yield Called(hook, step, _context(call, f"on_commit:{key}"))
    except Exception:
        for hook in reversed(hooks.get("on_rollback", ())):
            yield Called(hook, step, _context(call, f"on_rollback:{key}"))
        raise


def _context(call: Call, step: str) -> RunContext:
    return RunContext(call.session.info, call.session, step=step)


def _kept(session: Session, key: Id, value: Any, serializer: str | None, what: str) -> Life:
    """A value as bytes; large ones by reference."""
    root = session.root
    if root.store is None:
        return results.MEMORY
    try:
        stored = results.encode(value, None, serializer)
    except UsageError:
        stored = results.MEMORY
    if stored.data is None:
        session.log(None, logging.INFO, "hub", _UNKEPT.format(*what.split(" of ", 1)))
        return stored
    if len(stored.data) <= results.INLINE_BYTES:
        return stored
    store, scope, run_id = root.store, root.scope, session.info.run_id

    def put() -> Stored:
        put = root.places.put(stored, session.result_store or root.places.default, run_id, f"{key}-step")
        with store.write() as tx:
            rows.use_arguments(tx, scope, run_id, put.data, put.format)
        return put

    return (yield Blocking(put))


def _task_call(call: Call) -> str:
    try:
        return TASK + loader.task_entrypoint(call.task)
    except UsageError as reason:
        return _unfound(call.session, call.task_name, reason.detail, call.options.transaction_hooks)


def _function_call(session: Session, name: str, hooks: Mapping[str, tuple[TransactionHook, ...]]) -> str:
    try:
        found = [loader.function_entrypoint(hook) for hook in hooks.get("on_rollback", ())]
    except UsageError as reason:
        return _unfound(session, name, reason.detail, hooks)
    return FUNCTIONS + "\n".join(found) if found else ""


def _unfound(session: Session, name: str, reason: str, hooks: Mapping[str, Any]) -> str:
    if hooks.get("on_rollback") and name not in session.root.said:
        session.root.said.add(name)
        session.log(None, logging.WARNING, "hub", _UNFOUND.format(name, reason))
    return ""
