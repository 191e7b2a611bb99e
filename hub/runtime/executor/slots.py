"""Taking slots of named limits, waiting for them, giving them back. Lives of effects, for threads and loops alike."""

from __future__ import annotations

import logging
import time
from typing import Any

from hub.errors import HubError, LimitTimeout, UnavailableError, UsageError
from hub.runtime.bell import Bell
from hub.runtime.drawing import pen
from hub.runtime.executor.branches import CancelledNow, Trunk
from hub.runtime.executor.loops import running_loop
from hub.runtime.executor.root import Root
from hub.runtime.executor.rung import Heard, Rung
from hub.runtime.executor.steps import Blocking, Life, drive, drive_on_loop
from hub.runtime.journal import AttemptLost
from hub.sdk.context import RunContext, current
from hub.sdk.limits import Concurrency, Wanted
from hub.store import attempts, limits
from hub.store.limits import Answer, Request
from hub.types import SECOND, Id, new_id, now_us

_log = logging.getLogger("hub.limits")
_LOOK_S = 1.0
"""Who waits looks so often even when nothing rings."""
_NOTHING = object()
"""Held by who went on without a limit."""


class Held:
    """What one block holds."""

    __slots__ = ("context", "request", "root")

    def __init__(self, root: Root, context: RunContext, request: Request) -> None:
        self.root = root
        self.context = context
        self.request = request

    def give_back(self) -> None:
        """For code that was interrupted and did not do so itself."""
        drive(_give(self))


# --- what the SDK's door offers -------------------------------------------------------------------------------------


def take_slots(block: Concurrency, wanted: Wanted, *, on_loop: bool) -> Any:
    """Have a block hold its slots; with `on_loop` as a coroutine."""
    if on_loop:
        return drive_on_loop(_enter(block, wanted))
    if running_loop() is not None:
        raise UsageError("`with concurrency(...)` would block the event loop", hint="Write `async with`.")
    return drive(_enter(block, wanted))


def give_slots(block: Concurrency, *, on_loop: bool) -> Any:
    """Give back what a block holds; with `on_loop` as a coroutine."""
    held, block.held = block.held, None
    return (drive_on_loop if on_loop else drive)(_give(held))


def spend_rate(wanted: Wanted) -> Any:
    """Wait for a rate: here, or as a coroutine where a loop runs."""
    if running_loop() is None:
        drive(_take(wanted))
        return None
    return drive_on_loop(_take(wanted))


# --- lives ----------------------------------------------------------------------------------------------------------


def _enter(block: Concurrency, wanted: Wanted) -> Life:
    block.held = yield from _take(wanted)


def _take(wanted: Wanted) -> Life:
    if pen.drawing.get() is not None:
        return _NOTHING
    context = current.get()
    root: Root | None = context.session.root if context is not None else None
    if context is None or root is None or root.store is None:
        if not wanted.strict:
            return _NOTHING
        raise _no_store(wanted, outside=context is None or root is None)
    held = Held(root, context, _request(root, context, wanted))
    if not wanted.rate_only:
        # Noted first: an exception out of the blue must not leave behind what nobody knows of.
        context.held = [*(context.held or ()), held]
    try:
        taken = yield from acquired(root, context.session.branch, held.request, wanted)
    except BaseException:
        _forget(held)
        raise
    if not taken:
        _forget(held)
        return _NOTHING
    return held


def hold_tags(context: RunContext, tags: tuple[str, ...]) -> Life:
    """Hold a slot of the limit of each tag that has one (`tag:NAME`), until the call of this context has ended."""
    root: Root = context.session.root
    if root.store is None:
        return
    limited = yield Blocking(lambda: _limited_tags(root))
    names = tuple(name for name in (f"tag:{tag}" for tag in tags) if name in limited)
    if names:
        held = Held(root, context, _request(root, context, Wanted(names, strict=False)))
        context.held = [*(context.held or ()), held]
        yield from acquired(root, context.session.branch, held.request, Wanted(names, strict=False))


def _limited_tags(root: Root) -> frozenset[str]:
    """The limits of tags, looked up once a second."""
    now = time.monotonic()
    if root.tags is None or now - root.tags[0] > _LOOK_S:
        assert root.store is not None
        with root.store.read() as tx:
            root.tags = (now, limits.of_tags(tx, root.scope))
    return root.tags[1]


def acquired(root: Root, branch: Trunk, request: Request, wanted: Wanted) -> Life:
    """Wait until the request is granted; gives whether anything is held now. Raises as `concurrency` does."""
    tries = _Tries(root, request, wanted)
    try:
        answer: Answer = yield Blocking(lambda: tries.ask(wait=wanted.timeout != 0))
        if answer.status == "waits":
            if wanted.timeout == 0:
                raise tries.over()
            answer = yield from _wait_in_line(root, branch, tries)
    except GeneratorExit:
        raise
    except BaseException:
        yield Blocking(lambda: _released(root, request.id, patience=1.0))
        raise
    return answer.limits > 0


def _wait_in_line(root: Root, branch: Trunk, tries: _Tries) -> Life:
    rung = Rung(branch.stop)
    with _bell(root).heard(rung.ring):
        while True:
            answer: Answer = yield Blocking(lambda: tries.ask_in_turn(rung))
            if answer.status == "granted":
                return answer
            branch.check()
            left = tries.left()
            if left <= 0:
                raise tries.over()
            yield Heard(rung, min(left, _pause(answer)))
            branch.check()


def _give(held: Any) -> Life:
    if not isinstance(held, Held):
        return
    count = yield Blocking(lambda: _released(held.root, held.request.id, patience=held.root.lease_s * 2 / 3))
    _forget(held)
    if not count:
        _log.warning(
            "run %s: its slots of %s had run out before they were given back: its lease was not renewed in time",
            held.request.run_id, ", ".join(held.request.names),
        )  # fmt: skip


def _forget(held: Held) -> None:
    held.context.held = [other for other in held.context.held or () if other is not held] or None


class _Tries:
    """One request, asked until it is granted."""

    def __init__(self, root: Root, request: Request, wanted: Wanted) -> None:
        self._root = root
        self._request = request
        self._wanted = wanted
        self._end = None if wanted.timeout is None else time.monotonic() + wanted.timeout
        self._away_since: float | None = None
        self._last: Answer | None = None

    def left(self) -> float:
        """Seconds that are left."""
        return _LOOK_S if self._end is None else self._end - time.monotonic()

    def ask_in_turn(self, rung: Rung) -> Answer:
        """Ask, but for nothing while somebody else is before it."""
        rung.clear()
        store = self._root.store
        assert store is not None
        try:
            with store.read() as tx:
                mine = limits.next_in_line(tx, self._request.id)
        except UnavailableError:
            mine = True  # asked below, where it is waited for
        return self.ask(wait=True) if mine else Answer("waits")

    def ask(self, *, wait: bool) -> Answer:
        """Ask once. A database that is away is waited for, as long as the attempt's lease may hold."""
        store, root = self._root.store, self._root
        assert store is not None
        try:
            with store.write(durable=False) as tx:
                answer = limits.ask(tx, root.scope, self._request, wait=wait)
        except UnavailableError:
            now = time.monotonic()
            self._away_since = self._away_since or now
            if now - self._away_since > root.lease_s * 2 / 3:
                raise
            return Answer("waits")
        self._away_since, self._last = None, answer
        if answer.status not in ("granted", "waits"):
            raise _refused(answer, self._request)
        return answer

    def over(self) -> LimitTimeout:
        """The error of one whose time is up."""
        names = ", ".join(self._request.names)
        return LimitTimeout(
            f"{self._request.occupy} of limit {names} were not to be had within {self._wanted.timeout:g} s",
            hint=f"`hub limits show {self._request.names[0]}` says who holds it.",
        )


# --- pieces ---------------------------------------------------------------------------------------------------------


def _request(root: Root, context: RunContext, wanted: Wanted) -> Request:
    flow = context.flow
    return Request(
        new_id(), wanted.names, wanted.occupy, "rate" if wanted.rate_only else "slots", flow.run_id, flow.attempt,
        attempts.attempt_id(flow.run_id, flow.attempt), context.task_run_id, root.lease_s, wanted.strict,
    )  # fmt: skip


def _bell(root: Root) -> Bell:
    assert root.store is not None
    if root.bell is None:
        root.bell = Bell(root.store, "limits")
    return root.bell


def _pause(answer: Answer) -> float:
    """Until a rate comes back by itself; else until the next look."""
    until = answer.blocked.until if answer.blocked is not None else None
    return _LOOK_S if until is None else min(_LOOK_S, max(0.001, (until - now_us()) / SECOND))


def _released(root: Root, request_id: Id, *, patience: float) -> int:
    assert root.store is not None
    end, pause = time.monotonic() + patience, 0.1
    while True:
        try:
            with root.store.write(durable=False) as tx:
                return limits.release(tx, request_id)
        except UnavailableError as error:
            if time.monotonic() + pause > end:
                # It ends with the attempt, or with its lease.
                _log.warning("slots could not be given back: %s", error.detail)
                return 1
        time.sleep(pause)
        pause = min(pause * 2, 2.0)


def _refused(answer: Answer, request: Request) -> HubError | AttemptLost:
    if answer.status == "missing":
        return UsageError(
            f"there is no limit {answer.sentence}",
            hint=f"`hub limits create {request.names[0]} --slots N` makes it; strict=False goes on without.",
            code="no-limit",
        )
    if answer.status == "misfit":
        return UsageError(answer.sentence, hint="`hub limits set` changes a limit.", code="limit-misfit")
    if answer.status == "cancelled":
        return CancelledNow()
    return AttemptLost(answer.sentence)


def _no_store(wanted: Wanted, *, outside: bool) -> UsageError:
    what = "rate_limit" if wanted.rate_only else "concurrency"
    if outside:
        return UsageError(f"{what}(...) was called outside a flow", hint="Limits are held by runs of flows.")
    return UsageError(
        f"{what}(...) needs the hub's store: HUB_JOURNAL=off, or a task was called outside a flow",
        hint="Unset HUB_JOURNAL, or write strict=False to go on without limits there.",
    )
