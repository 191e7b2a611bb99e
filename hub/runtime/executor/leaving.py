"""When a run may leave its process, and how it waits until something is due: here, or by leaving."""

from __future__ import annotations

import threading
from collections.abc import Set
from typing import TYPE_CHECKING

from hub.runtime.executor import passing
from hub.runtime.executor.loops import running_loop, running_task
from hub.runtime.executor.root import Leaving, Root
from hub.runtime.executor.steps import Gather, Life, Pause
from hub.sdk.context import RunContext
from hub.states import StateType
from hub.types import SECOND, Id, Micros, now_us

if TYPE_CHECKING:
    from hub.runtime.executor.session import Session

_BUSY_S = 0.05


def wait_until(context: RunContext, due: Micros, leaving: Leaving) -> Life:
    """Come back when it is `due`: at once, after a wait in this process, or in another one by way of `leaving`."""
    session: Session = context.session
    root: Root = session.root
    while True:
        session.branch.check()
        left = (due - now_us()) / SECOND
        if left <= 0:
            return
        if left <= root.wait_in_place or not may_leave(context):
            yield Pause(min(left, passing.passes.longest), session.branch.stop)
        elif busy := _busy(context.session):
            yield from _until_quiet(busy)
        else:
            raise root.leave(leaving)


def leave(context: RunContext, leaving: Leaving) -> Life:
    """Leave, once what the flow has submitted has ended."""
    session: Session = context.session
    while busy := _busy(session):
        yield from _until_quiet(busy)
        session.branch.check()
    raise session.root.leave(leaving)


def until_alone(session: Session) -> Life:
    """Wait until everything that a flow has called has ended, while it is being left."""
    while executing(session, frozenset()):
        yield from _until_quiet([session])
        session.branch.check()


def may_leave(context: RunContext) -> bool:
    """Whether the run may leave where this code stands: in the body of a flow, on the flow's own thread or coroutine.

    A task is one step, which would begin again; so is a flow that a task has called. Elsewhere nobody could unwind
    the flow.
    """
    root: Root = context.session.root
    return task_may_rest(context) and _on_the_flows_own(root)


def task_may_rest(caller: RunContext) -> bool:
    """Whether a task that was submitted there may end here until its retry is due."""
    session: Session = caller.session
    return session.root.can_leave and caller is session.body and not session.within_task


def _on_the_flows_own(root: Root) -> bool:
    if root.task is not None:
        return running_loop() is not None and running_task() is root.task
    return root.ident == threading.get_ident()


def _busy(session: Session) -> list[Session]:
    """The sessions, from this one outwards, in which something else executes."""
    found, around = [], set[Id]()
    at: Session | None = session
    while at is not None:
        if executing(at, around):
            found.append(at)
        if at.outer_step is not None:
            around.add(at.outer_step)
        at = at.outer
    return found


def executing(session: Session, around: Set[Id]) -> bool:
    """Whether something that a flow has called executes, but for the steps that the asking code is part of."""
    records = list(session.open.items())
    begun = any(record.state.type is StateType.RUNNING and id_ not in around for id_, record in records)
    return begun or bool(session.unfinished())


def _until_quiet(busy: list[Session]) -> Life:
    """Submitted tasks are waited for; of what other threads and coroutines of the flow call, one looks."""
    for session in busy:
        unfinished = session.unfinished()
        if unfinished:
            yield Gather(unfinished)
        else:
            yield Pause(_BUSY_S, session.branch.stop)
