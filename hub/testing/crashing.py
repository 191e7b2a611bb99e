"""Kills at every commit: the flow runs in forked children that are really ended by SIGKILL, and is then gone on with.

A forked child, because nothing else is like a kill: no `finally` runs, nothing that was not committed is kept, memory
is gone; and still it is the very flow of the test, with all that was patched. See docs/decisions/015-kills.md.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, NoReturn

from sqlalchemy import func, select

from hub.errors import UsageError
from hub.runtime import inline, parameters
from hub.runtime.executor.results import Unreadable
from hub.sdk.flows import Flow
from hub.settings import Settings, load_settings
from hub.store import open_hub, run_details, runs
from hub.store.base import Pinned, Store, Tx
from hub.store.raw import execute
from hub.testing import records
from hub.testing.kit import Hub, at_hand
from hub.testing.records import Run
from hub.testing.works import SCOPE, Works
from hub.types import Id

Side = Literal["before", "after"]
_SIDES: tuple[Side, ...] = ("before", "after")
_POINTS = 2_000
_ERROR = 3
"""Exit status of a child in which the kit itself failed."""


class CrashFound(AssertionError):
    """A flow came out otherwise after a kill. Its message says at which commit."""


class Killing:
    """A store whose process dies before or after its n-th commit; 0: it lives."""

    def __init__(self, store: Store, number: int, side: Side) -> None:
        self._store = store
        self._at = (number, side)
        self._numbers = count(1)
        self._counting = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Tx]:
        """See Store.write."""
        with self.counted(self._store.write(durable=durable)) as tx:
            yield tx

    def pin(self) -> Pinned:
        """See Store.pin."""
        return _Pinned(self, self._store.pin())

    @contextmanager
    def counted(self, transaction: Any) -> Iterator[Tx]:
        """A transaction whose commit is one of the points."""
        with transaction as tx:
            yield tx
            with self._counting:
                number = next(self._numbers)
            self._reach(number, "before")
        self._reach(number, "after")

    def _reach(self, number: int, side: Side) -> None:
        if (number, side) == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


class _Pinned:
    def __init__(self, store: Killing, pinned: Pinned) -> None:
        self._store = store
        self._inner = pinned

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """See Pinned.write."""
        with self._store.counted(self._inner.write()) as tx:
            yield tx

    def ask(self, text: str, values: Sequence[Any]) -> Any:
        """See Pinned.ask."""
        with self.write() as tx:
            return execute(tx, text, values).fetchone()

    def change(self, text: str, values: Sequence[Any]) -> int:
        """See Pinned.change."""
        with self.write() as tx:
            return int(execute(tx, text, values).rowcount)

    def close(self) -> None:
        """See Pinned.close."""
        self._inner.close()


@dataclass
class Crash:
    """One kill. `run()` makes it happen and lets the run go on elsewhere."""

    number: int
    side: Side
    last: str = ""
    """What had been recorded last when it happened."""
    _lab: _Lab | None = field(default=None, repr=False)
    _ended: Run | None = field(default=None, repr=False)
    reached: bool = field(default=False, repr=False)

    def __str__(self) -> str:
        return f"killed {self.side} commit {self.number}" + (f" (last recorded: {self.last})" if self.last else "")

    def run(self) -> Run:
        """Kill the flow at this point, go on with it as workers would, and give what became of it."""
        if self._ended is None:
            assert self._lab is not None
            self._ended = self._lab.experiment(self)
        return self._ended


def crashes(flow: Flow[..., Any], /, *args: Any, **kwargs: Any) -> Iterator[Crash]:
    """Every kill that this call of the flow can meet, before and after each commit, one after the other.

        for crash in crashes(bill, ["tea"]):
            run = crash.run()
            assert run.result == 3.5, crash

    Ends when the flow is over before the next commit would come. The notes of the test's hub are cleared each time.
    Raises UsageError for a kill that the loop does not `run()`; ParameterError.
    """
    with at_hand() as hub, _lab(hub, flow, args, kwargs) as lab:
        yield from lab.crashes()


def survives_crashes(
    flow: Flow[..., Any], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None, *,
    check: Callable[[Run], object] | None = None, prepare: Callable[[], object] | None = None,
) -> int:  # fmt: skip
    """Kill the flow at every commit, and see that it comes out as it does without; gives the number of kills.

    `prepare` is called before each run (to empty what tasks write to), `check` with the run after it, also after the
    first one, which is not killed. Raises CrashFound that names the commit.
    """
    with at_hand() as hub, _lab(hub, flow, tuple(args), kwargs or {}, prepare) as lab:
        wanted = lab.experiment(Crash(0, "before"))
        if check is not None:
            check(wanted)
        survived = 0
        for crash in lab.crashes():
            ended = crash.run()
            if crash.reached:
                _compare(crash, ended, wanted)
                _checked(crash, ended, check)
                survived += 1
        return survived


def _compare(crash: Crash, ended: Run, wanted: Run) -> None:
    if ended.state.name != wanted.state.name:
        raise CrashFound(f"{crash}: the run is {ended.state.name} and not {wanted.state.name}\n{ended}")
    got, hoped = _result(ended), _result(wanted)
    if got != hoped:
        raise CrashFound(f"{crash}: the result is {got!r} and not {hoped!r}\n{ended}")


def _result(run: Run) -> Any:
    try:
        return run.result
    except Unreadable:
        return None  # it lives in memory only, which a kill takes away


def _checked(crash: Crash, ended: Run, check: Callable[[Run], object] | None) -> None:
    try:
        if check is not None:
            check(ended)
    except (Exception, AssertionError) as error:
        raise CrashFound(f"{crash}: {error or type(error).__name__}\n{ended}") from error


# --- one flow in many processes -------------------------------------------------------------------------------------


@contextmanager
def _lab(
    hub: Hub, flow: Flow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
    prepare: Callable[[], object] | None = None,
) -> Iterator[_Lab]:  # fmt: skip
    values = parameters.from_call(flow, args, kwargs)
    folder = Path(tempfile.mkdtemp(prefix="kills-", dir=hub.home.parent))
    try:
        yield _Lab(hub, flow, values, folder, prepare)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Lab:
    """A call of a flow that has not begun, in copies of the test's home."""

    def __init__(
        self, hub: Hub, flow: Flow[..., Any], values: dict[str, Any], folder: Path,
        prepare: Callable[[], object] | None,
    ) -> None:  # fmt: skip
        self._hub = hub
        self._base = folder / "base"
        self._home = folder / "home"
        self._prepare = prepare
        _copy(hub.home, self._base)
        with _opened(self._base) as (store, settings):
            self._run_id = hub.create(store, flow, values)
            # Here once, instead of in each of the children.
            _ = Works(store, settings, hub.clock).plugins

    def crashes(self) -> Iterator[Crash]:
        for number in range(1, _POINTS + 1):
            for side in _SIDES:
                crash = Crash(number, side, _lab=self)
                if not self._makes_sense(crash):
                    return
                yield crash
                if crash._ended is None:
                    raise UsageError(f"the loop has not run() the flow that is to be {crash}")
        raise UsageError(f"the flow commits more than {_POINTS} times", hint="Test it with less work to do.")

    def _makes_sense(self, crash: Crash) -> bool:
        """Whether the flow gets that far: a kill that is not reached is the end."""
        crash._ended = None
        self._begin()
        self._kill(crash)
        return crash.reached

    def experiment(self, crash: Crash) -> Run:
        """Go on with the run, in a new process, and see what becomes of it."""
        if not crash.reached:
            self._begin()
        self._in_child(self._go_on)
        with _opened(self._home) as (store, settings):
            ended = records.read(store, settings, SCOPE, self._run_id)
        if not ended.state.final:
            raise CrashFound(f"{crash}: the run does not go on by itself\n{ended}")
        return ended

    def _begin(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)
        shutil.copytree(self._base, self._home)
        self._hub.notes.clear()
        if self._prepare is not None:
            self._prepare()

    def _kill(self, crash: Crash) -> None:
        def die(settings: Settings, store: Store) -> None:
            killing: Any = Killing(store, crash.number, crash.side)
            inline.use(inline.Home(settings, killing))
            Works(store, settings, self._hub.clock, executes_on=killing).work_off()

        crash.reached = self._in_child(die)
        if crash.reached:
            with _opened(self._home) as (store, _):
                crash.last = _last(store, self._run_id)

    def _go_on(self, settings: Settings, store: Store) -> None:
        self._hub.clock.move_to(_latest(store))
        works = Works(store, settings, self._hub.clock)
        works.recover()
        works.settle()
        while (expires := works.next_expiry()) is not None:
            self._hub.clock.move_to(expires)
            works.settle()

    def _in_child(self, do: Callable[[Settings, Store], None]) -> bool:
        """Do it in a forked child; whether that was killed."""
        trouble = self._home / "trouble"
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        with warnings.catch_warnings():
            # Threads that stand still in the parent hold nothing that the child needs.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _be_child(self._home, self._hub, do, trouble)
        status = _wait(pid, self._hub.patience)
        if os.WIFSIGNALED(status):
            if os.WTERMSIG(status) == signal.SIGKILL:
                return True
            raise UsageError(f"the flow's process was ended by signal {os.WTERMSIG(status)}")
        if os.WEXITSTATUS(status):
            why = trouble.read_text(encoding="utf-8") if trouble.exists() else f"exit {os.WEXITSTATUS(status)}"
            raise UsageError(f"the flow's process ended by itself: {why}")
        return False


def _be_child(home: Path, hub: Hub, do: Callable[[Settings, Store], None], trouble: Path) -> NoReturn:
    status = _ERROR
    try:
        os.environ["HUB_HOME"] = str(home)
        hub.clock.forked()
        settings = load_settings()
        store = open_hub(settings)
        inline.use(inline.Home(settings, store))
        do(settings, store)
        status = 0
    except BaseException as error:  # noqa: BLE001 - told to the parent
        trouble.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def _wait(pid: int, patience: float) -> int:
    end = time.monotonic() + patience
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise UsageError(
                f"the flow has not ended within {patience:g} s", hint="hub.patience = ... gives it more time."
            )
        time.sleep(0.002)


def _copy(home: Path, to: Path) -> None:
    """A home with its database as it is now."""
    shutil.copytree(home, to, ignore=lambda _, names: [n for n in names if n.startswith("hub.db") or ".sock" in n])
    with closing(sqlite3.connect(home / "hub.db")) as old, closing(sqlite3.connect(to / "hub.db")) as new:
        old.backup(new)


@contextmanager
def _opened(home: Path) -> Iterator[tuple[Store, Settings]]:
    """The store of a home, closed again before anybody forks."""
    settings = load_settings({"home": home})
    store = open_hub(settings)
    try:
        yield store, settings
    finally:
        store.close()


def _last(store: Store, run_id: Id) -> str:
    states, tasks = runs.STATES, run_details.TASKS
    entered = states.outerjoin(tasks, tasks.c.id == states.c.task_run_id)
    query = select(states.c.at, tasks.c.name, states.c.name).select_from(entered).where(states.c.run_id == run_id)
    # A task run that has no history rows says itself when it ended.
    ended = select(tasks.c.ended_at, tasks.c.name, tasks.c.state_name).where(tasks.c.run_id == run_id)
    ended = ended.where(tasks.c.ended_at.is_not(None)).order_by(tasks.c.ended_at.desc(), tasks.c.id.desc())
    with store.read() as tx:
        last = [*tx.conn.execute(query.order_by(states.c.id.desc()).limit(1)), *tx.conn.execute(ended.limit(1))]
    return "" if not last else "{1} {2}".format(*[part or "the run" for part in max(last, key=lambda row: row[0])])


def _latest(store: Store) -> int:
    """The time of the newest state: the killed process may have skipped much of it."""
    with store.read() as tx:
        times = (runs.STATES.c.at, run_details.TASKS.c.ended_at)
        return max(tx.conn.execute(select(func.max(at))).scalar() or 0 for at in times)
