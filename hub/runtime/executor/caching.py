"""Calls of tasks that an equal call has answered: one computes, others wait, everybody takes the result."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar

from hub.engine.run import Complete
from hub.errors import HubError, UnavailableError
from hub.runtime.executor import results
from hub.runtime.executor.hashing import Unhashable, code_digest, digest
from hub.runtime.executor.keeping import hint_of
from hub.runtime.executor.results import Stored, Unreadable
from hub.runtime.executor.steps import Blocking, Commit, Life, Pause
from hub.runtime.executor.texts import describe
from hub.sdk.caching import CacheOptions
from hub.sdk.context import RunContext
from hub.sdk.functions import Wrapped
from hub.store import cache, kept
from hub.store.base import Store, Tx
from hub.store.cache import Answer, Holder
from hub.types import SECOND, now_us

if TYPE_CHECKING:
    from hub.runtime.executor.session import Session
    from hub.runtime.executor.tasklife import Call

T = TypeVar("T")
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
LOGGER = "hub.cache"
DEBUG, INFO = 10, 20


@dataclass(frozen=True, slots=True)
class Question:
    """A call as the cache sees it. `parts` are digests by part, for inputs and parameters by their names."""

    key: str
    parts: dict[str, Any]
    holder: Holder


def live(call: Call, options: CacheOptions, tries: Callable[[Call], Life], check: Callable[[Call], None]) -> Life:
    """The rest of a task's life where it may be answered from the cache."""
    store = call.session.root.store
    question = _question(call, options) if store is not None and call.session.attempt_id is not None else None
    if question is None or store is None:
        return (yield from tries(call))
    pause, waited = _FIRST_PAUSE, False
    while True:
        check(call)
        answer: Answer = yield Blocking(lambda: _ask(store, call, question, options))
        if answer.kind == "mine":
            return (yield from _compute(call, store, question, options, tries))
        if answer.kind == "hit":
            found = yield from _found(call, store, answer)
            if found is _AWAY:
                return (yield from tries(call))
            if found is not None:
                return found.value
            continue
        if _is_above(call, answer.row["holder_task_run_id"]):
            call.session.log(call.id, INFO, LOGGER, "not cached: it is called by the task that computes this entry")
            return (yield from tries(call))
        if not waited:
            waited = True
            holder = answer.row["holder_task_run_id"]
            call.session.log(call.id, DEBUG, LOGGER, f"waits for task run {holder}, which computes the same")
        yield Pause(pause, call.session.branch.stop)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


# --- the key -----------------------------------------------------------------------------------------------------


def _question(call: Call, options: CacheOptions) -> Question | None:
    """None where the call cannot be cached; the log then says why."""
    try:
        parts = _parts(call, options)
    except _NotCached as reason:
        call.session.log(call.id, INFO, LOGGER, f"not cached: {reason}")
        return None
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    key = blake2b(text.encode(), digest_size=20).hexdigest()
    return Question(key, parts, Holder(call.session.attempt_id or "", call.session.info.run_id, call.id))


class _NotCached(Exception):
    pass


def _parts(call: Call, options: CacheOptions) -> dict[str, Any]:
    wanted, info = options.policy.parts, call.session.info
    parts: dict[str, Any] = {"task": call.wrapped.key}
    if "inputs" in wanted:
        given = {**_arguments(call)}
        if call.wrapped.bound is not None:
            given["self"] = call.wrapped.bound
        kept = {name: value for name, value in given.items() if name not in options.policy.without}
        parts["inputs"] = _digests("argument", kept)
    if "task_source" in wanted:
        try:
            parts["task_source"] = _source(call.wrapped)
        except Unhashable as what:
            raise _NotCached(f"its code holds a constant that has no digest ({what})") from None
    if "flow_parameters" in wanted:
        parts["flow_parameters"] = _digests("flow parameter", info.parameters)
    if "run_id" in wanted:
        parts["run_id"] = info.run_id
    if options.key_fn is not None:
        parts["own"] = _own(call, options.key_fn)
    return parts


def _source(wrapped: Wrapped) -> str:
    return code_digest(wrapped.code) if wrapped.made_of is None else digest(wrapped.made_of.spec)


def _arguments(call: Call) -> Mapping[str, Any]:
    try:
        return call.wrapped.arguments(call.args, call.kwargs)
    except TypeError as error:
        raise _NotCached(str(error)) from None  # the call itself will say so


def _digests(what: str, values: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in values.items():
        try:
            found[name] = digest(value)
        except Unhashable as kind:
            raise _NotCached(f"{what} {name!r} has no digest ({kind})") from None
    return found


def _own(call: Call, key_fn: Callable[[Any, Mapping[str, Any]], str | None]) -> str:
    context = RunContext(
        call.parent.flow, call.session, step=call.key, task_run_id=call.id, task_name=call.task_name, task_attempt=1
    )
    try:
        key = key_fn(context, _arguments(call))
    except Exception as error:
        raise _NotCached(f"its cache_key_fn raised {describe(error)}") from error
    if key is None:
        raise _NotCached("its cache_key_fn gave None")
    if not isinstance(key, str) or not 0 < len(key) <= 1000:
        raise _NotCached(f"its cache_key_fn gave {type(key).__name__}, not a text of 1 to 1000 characters")
    return digest(key)


# --- asking ------------------------------------------------------------------------------------------------------


def _ask(store: Store, call: Call, question: Question, options: CacheOptions) -> Answer:
    scope, named = call.session.root.scope, {"task_key": call.wrapped.key, "task_name": call.task_name}

    def ask(tx: Tx) -> tuple[Answer, str]:
        if options.refresh:
            before = cache.find(tx, scope, question.key)
            cache.take(tx, scope, question.key, question.holder, parts=question.parts, **named)
            answer = Answer("mine", before or {}, "refresh_cache is set")
        else:
            answer = cache.ask(tx, scope, question.key, question.holder, parts=question.parts, **named)
        return answer, _why_missed(tx, call, question, answer) if answer.kind == "mine" else ""

    answer, why = _in_store(store, call.session, ask)
    if why:
        call.session.log(call.id, DEBUG, LOGGER, f"cache miss: {why}")
    return answer


def _why_missed(tx: Tx, call: Call, question: Question, answer: Answer) -> str:
    if answer.why:
        return answer.why
    known = cache.newest(tx, call.session.root.scope, call.wrapped.key)
    if not known:
        return "there is no result of this task yet"
    distances = [(difference(question.parts, row["parts"]), row) for row in known]
    nearest, row = min(distances, key=lambda pair: len(pair[0]))
    return f"the nearest entry (task run {row['task_run_id']}) differs in {', '.join(nearest) or 'nothing'}"


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """The parts that differ, dotted where a part has parts: `inputs.day`, `task_source`."""
    found = []
    for name in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(name), theirs.get(name)
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            found += [f"{name}.{inner}" for inner in difference(mine, other)]
        elif mine != other:
            found.append(name)
    return found


def _is_above(call: Call, holder: str | None) -> bool:
    """Whether the holder waits for this very call."""
    at = call.parent.task_run_id
    while at is not None:
        if at == holder:
            return True
        record = call.session.open.get(at)
        at = record.parent if record is not None else None
    return False


# --- a hit -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    value: Any


_AWAY = _Found(None)
"""There is a result, in a store that does not answer."""


def _found(call: Call, store: Store, answer: Answer) -> Life:
    """Give what the entry holds as this task's result; None when it cannot be read, and then it is dropped."""
    row = answer.row
    session, stored = call.session, Stored(row["result"], row["result_format"] or "none")
    try:
        value = yield Blocking(lambda: _read(call, stored))
    except UnavailableError as reason:
        session.log(call.id, INFO, LOGGER, f"the entry of task run {row['task_run_id']} is away ({reason.detail})")
        return _AWAY
    except Unreadable as reason:
        session.log(call.id, INFO, LOGGER, f"the entry of task run {row['task_run_id']} is not at hand ({reason})")
        yield Blocking(lambda: _in_store(store, session, lambda tx: cache.drop(tx, session.root.scope, row)))
        return None
    record = call.opened()
    record.stored = stored
    record.started_at = now_us()
    yield from using(call.session, stored)
    fact = record.signal(Complete(record.run.attempt, 0, "Cached", answer.why))
    call.state = record.state
    yield Commit(session.journal, fact)
    return _Found(value)


def using(session: Session, stored: Stored) -> Life:
    """Note that this run refers to a result of another, so that it stays as long as this run does."""
    store, scope, run_id = session.root.store, session.root.scope, session.info.run_id
    if store is not None and ":" in stored.format:
        yield Blocking(
            lambda: _in_store(
                store, session, lambda tx: kept.use(tx, scope.workspace_id, run_id, stored.data, stored.format)
            )
        )


def _read(call: Call, stored: Stored) -> Any:
    session = call.session
    try:
        whole = session.root.places.get(stored)
    except UnavailableError:
        raise
    except HubError as error:
        raise Unreadable(error.detail) from None
    serializer = call.options.result_serializer or session.result_serializer
    return results.decode(whole, hint_of(call.wrapped), serializer)


def _in_store(store: Store, session: Session, change: Callable[[Tx], T]) -> T:
    """Change the cache; a database that is away is waited for, as long as the attempt's lease may hold."""
    root = session.root
    end, pause = time.monotonic() + root.lease_s * 2 / 3, _FIRST_PAUSE
    while True:
        try:
            with store.write() as tx:
                return change(tx)
        except UnavailableError:
            if root.stop.is_set() or time.monotonic() + pause > end:
                raise
        root.stop.wait(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


# --- a miss ------------------------------------------------------------------------------------------------------


def _compute(
    call: Call, store: Store, question: Question, options: CacheOptions, tries: Callable[[Call], Life]
) -> Life:
    try:
        value = yield from tries(call)
    except GeneratorExit:
        raise  # nothing can be waited for; the attempt's lease ends the claim
    except BaseException:
        yield Blocking(lambda: _released(store, call, question))
        raise
    record = call.record
    stored = record.stored if record is not None else None
    txn = call.txn
    if txn is None or txn.mode == "eager" or not txn.wanted.write_on_commit:
        yield Blocking(lambda: _published(store, call, question, options, stored))
    else:
        # Others compute it themselves until the transaction has committed; and for good when it does not.
        yield Blocking(lambda: _released(store, call, question))
        txn.publishes.append(lambda: _published_late(store, call, question, options, stored))
    return value


def _published_late(
    store: Store, call: Call, question: Question, options: CacheOptions, stored: Stored | None
) -> None:  # fmt: skip
    """The transaction has committed. What somebody else has put there meanwhile stands."""
    with contextlib.suppress(HubError):
        if _ask(store, call, question, replace(options, refresh=False)).kind == "mine":
            _published(store, call, question, options, stored)


def _published(store: Store, call: Call, question: Question, options: CacheOptions, stored: Stored | None) -> None:
    if stored is None or stored.data is None:
        call.session.log(call.id, INFO, LOGGER, "not cached: its result is not kept")
        _released(store, call, question)
        return
    expires = None if options.expiration is None else now_us() + int(options.expiration * SECOND)

    def publish(tx: Tx) -> bool:
        return cache.publish(
            tx, call.session.root.scope, question.key, question.holder, result=stored.data, format_=stored.format,
            size=size_of(stored), expires_at=expires,
        )  # fmt: skip

    with contextlib.suppress(HubError):  # the result stands; only others compute it again
        _in_store(store, call.session, publish)


def _released(store: Store, call: Call, question: Question) -> None:
    with contextlib.suppress(HubError):  # the attempt's lease ends the claim as well
        scope = call.session.root.scope
        _in_store(store, call.session, lambda tx: cache.release(tx, scope, question.key, question.holder))


def size_of(stored: Stored) -> int:
    """The bytes of a result, wherever they are."""
    if stored.data is None:
        return 0
    return int(json.loads(stored.data)["bytes"]) if ":" in stored.format else len(stored.data)
