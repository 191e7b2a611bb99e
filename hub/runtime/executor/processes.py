"""Processes that execute submitted tasks: each has one call at a time, and only its own call is lost with it."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import pickle
import queue
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from hub.errors import RunCrashed, RunFailed, UsageError
from hub.runtime import loader, process
from hub.runtime.executor import artifacts
from hub.runtime.executor.artifacts import Owner
from hub.runtime.executor.limits import Expired
from hub.runtime.executor.root import Root
from hub.runtime.executor.slots import hold_tags
from hub.runtime.executor.steps import Blocking, Life
from hub.runtime.executor.tasklife import Call
from hub.runtime.executor.texts import describe
from hub.sdk.context import RunContext

_SLICE_S = 0.25
"""An interruption of the waiting thread is met within this time."""
Body = Callable[[Call, RunContext, tuple[Any, ...], dict[str, Any]], Life]


def body(entrypoint: str, size: int) -> Body:
    """What a call does instead of calling its function here."""

    def life(call: Call, context: RunContext, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Life:
        root: Root = context.session.root
        owner, seconds = artifacts.owner_of(context), call.options.timeout
        if call.options.tags:
            yield from hold_tags(context, call.options.tags)
        try:
            return (
                yield Blocking(lambda: _of(root, size).call(entrypoint, args, kwargs, timeout=seconds, owner=owner))
            )
        finally:
            for held in list(context.held or ()):
                held.give_back()

    return life


def _of(root: Root, size: int) -> Processes:
    with root.opening:
        if root.processes is None:
            root.processes = Processes(size)
        return root.processes


class Processes:
    """Up to `size` processes, started when there is work for them. Threads of the flow wait for them."""

    def __init__(self, size: int) -> None:
        self._free: queue.LifoQueue[_Process | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)
        self._lock = threading.Lock()
        self._known: set[_Process] = set()

    def call(
        self, entrypoint: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, timeout: float | None,
        owner: Owner | None = None,
    ) -> Any:  # fmt: skip
        """Call a task's function in a process. Raises what it raised, Expired after `timeout` seconds, RunCrashed.

        `owner`: whose artifacts it leaves.
        """
        try:
            # The arguments apart: they may be of classes of the task's own file, which is to be loaded first.
            message = pickle.dumps((entrypoint, owner, pickle.dumps((args, kwargs))))
        except Exception as error:  # noqa: BLE001 - pickling calls the user's own code
            hint = "Pass what pickle can carry."
            raise UsageError(f"the arguments cannot be sent to a process: {error}", hint=hint) from None
        one = self._free.get()
        try:
            one = one or self._started()
            ok, data, told = one.ask(message, timeout)
        except BaseException:
            # It is over its time, dead, or its answer is not wanted any more.
            if one is not None:
                self._end(one)
            self._free.put(None)
            raise
        self._free.put(one)
        return _answer(ok, data, told)

    def close(self) -> None:
        """End all."""
        for one in list(self._known):
            self._end(one)

    def _started(self) -> _Process:
        one = _Process()
        with self._lock:
            self._known.add(one)
        return one

    def _end(self, one: _Process) -> None:
        with self._lock:
            self._known.discard(one)
        one.kill()


class _Process:
    def __init__(self) -> None:
        # Not forked: this process has threads, and whatever locks they hold.
        context = multiprocessing.get_context("spawn")
        may_have_children()
        self._mine, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, os.getpid()), daemon=True, name="hub-task")
        self._process.start()
        theirs.close()

    def ask(self, message: bytes, timeout: float | None) -> tuple[bool, bytes, str]:
        end = None if timeout is None else time.monotonic() + timeout
        try:
            self._mine.send_bytes(message)
            while not self._mine.poll(_SLICE_S if end is None else max(0.0, min(_SLICE_S, end - time.monotonic()))):
                if end is not None and time.monotonic() >= end:
                    raise Expired
            answer: tuple[bool, bytes, str] = self._mine.recv()
        except (EOFError, OSError):
            raise RunCrashed("the process that executed it has ended") from None
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.join(5)
        self._mine.close()


def _answer(ok: bool, data: bytes, told: str) -> Any:
    try:
        value = pickle.loads(data)  # noqa: S301 - from our own process
    except Exception as error:  # noqa: BLE001 - as above
        what = "its result" if ok else told
        raise RunFailed(f"{what} cannot be had from its process: {error}") from None
    if ok:
        return value
    raise value


def serve(pipe: Connection, parent: int) -> None:
    """Be such a process: make one call after the other until the pipe is closed or the parent has ended."""
    process.watch_parent(parent)
    may_have_children()
    while True:
        try:
            message = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send(_served(message))


def may_have_children() -> None:
    """Let this process start others with multiprocessing, though it is a daemon of it, or a child of Celery's.

    What multiprocessing has to know of a daemon is that its parent does not wait for it. Celery's own multiprocessing
    (billiard) puts itself into the place of Python's, with a key that refuses to travel to a child.
    """
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]
    config["daemon"] = False
    config["authkey"] = multiprocessing.process.AuthenticationString(bytes(config["authkey"]))  # type: ignore[attr-defined]


def _served(message: bytes) -> tuple[bool, bytes, str]:
    try:
        entrypoint, owner, given = pickle.loads(message)  # noqa: S301 - from our own process
        artifacts.beside.set(owner)
        wrapped = loader.load_task(entrypoint)._wrapped
        args, kwargs = pickle.loads(given)  # noqa: S301 - as above
        value = wrapped.call(args, kwargs)
        value = list(value) if wrapped.generates else value
    except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
        return _failed(error)
    try:
        return True, pickle.dumps(value), ""
    except Exception as broken:  # noqa: BLE001 - pickling calls the user's own code
        told = f"its result cannot be sent back from its process: {describe(broken)}"
        return _failed(UsageError(told, hint="Give back what pickle can carry."))


def _failed(error: BaseException) -> tuple[bool, bytes, str]:
    told = describe(error)
    try:
        return False, pickle.dumps(error), told
    except Exception as broken:  # noqa: BLE001 - an exception that cannot travel is told in words
        return False, pickle.dumps(RunFailed(f"{told} (it cannot be pickled: {describe(broken)})")), told
