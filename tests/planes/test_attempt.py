"""What a worker's child does with a doorbell, on every store: executed here, killed, executed again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hub.engine.run import Cancel, Dispatch, Lose
from hub.runtime import process
from hub.runtime.attempt import execute_attempt
from hub.runtime.orchestrator import handle
from hub.store import attempts
from hub.types import Scope, new_id

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()


def test_it_claims_executes_and_reports(plane: Plane) -> None:
    file = plane.file("""
@task
def add(a, b): return a + b

@flow(log_prints=True)
def whole(n: int) -> int:
    print("n is", n)
    return add.submit(n, 1).result()
""")
    row = plane.execute(f"{file}:whole", {"n": "4"})
    assert (row["state_name"], row["result"], row["attempt"]) == ("Completed", b"5", 1)
    assert plane.history(row["id"]) == ["Scheduled", "Pending", "Running", "Completed"]
    assert plane.logs() == [("print", "n is 4")]
    with plane.store.read() as tx:
        attempt = attempts.get(tx, attempts.attempt_id(row["id"], 1))
    assert attempt is not None
    assert (attempt["state"], attempt["pid"], attempt["pid_started"]) == (
        "ENDED", os.getpid(), process.started(os.getpid()),
    )  # fmt: skip


def test_a_doorbell_out_of_date_is_dropped(plane: Plane) -> None:
    file = plane.file("@flow\ndef whole(): Path(__file__).with_suffix('.ran').touch()")
    run_id = plane.run(f"{file}:whole")
    handle(plane.store, SCOPE, run_id, Dispatch(new_id()))
    key = attempts.attempt_id(run_id, 1)
    assert not execute_attempt(plane.store, plane.settings, key, 7)
    assert not execute_attempt(plane.store, plane.settings, new_id(), 1)
    assert not file.with_suffix(".ran").exists()
    execute_attempt(plane.store, plane.settings, key, 1)
    file.with_suffix(".ran").unlink()
    execute_attempt(plane.store, plane.settings, key, 1)
    assert not file.with_suffix(".ran").exists()


@pytest.mark.parametrize(
    ("text", "name", "kind", "part"),
    [
        ("def whole(:", "whole", "FlowLoadError", "line 4 does not import: SyntaxError"),
        ("import nowhere_at_all", "whole", "FlowLoadError", "No module named 'nowhere_at_all'"),
        ("@flow\ndef whole(n: int): ...", "other", "FlowLoadError", "there is no other"),
        ("@flow\ndef whole(n: int): ...", "whole", "ParameterError", "n: expected a valid integer"),
    ],
)
def test_what_can_never_run_fails_before_user_code(plane: Plane, text: str, name: str, kind: str, part: str) -> None:
    row = plane.execute(f"{plane.file(text)}:{name}", {"n": "x"}, retry_policy={"retries": 3})
    assert (row["state_name"], row["error_type"], row["retries_used"]) == ("Failed", kind, 0)
    assert row["error_class"] == "user_error"
    assert part in row["error_message"]
    assert "hub/runtime" not in (row["error_trace"] or "")


def test_a_failed_flow_goes_back_in_line_while_a_retry_is_left(plane: Plane) -> None:
    file = plane.file("""
@task
def once(n):
    with open(Path(__file__).with_name("effects"), "a") as out: out.write(f"{n}\\n")
    return n

@flow
def whole():
    once(1)
    if runtime_context().attempt == 1: raise ValueError("first")
    return once(2)
""")
    run_id = plane.run(f"{file}:whole", retry_policy={"retries": 1, "delays": [0]})
    plane.attempt(run_id)
    row = plane.row(run_id)
    assert (row["state_name"], row["error_message"], row["retries_used"]) == ("AwaitingRetry", "ValueError: first", 1)
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Completed"
    assert file.with_name("effects").read_text() == "1\n2\n"
    assert plane.history(run_id)[-2:] == ["Retrying", "Completed"]


def test_the_runs_own_timeout_ends_a_blocking_flow(plane: Plane) -> None:
    file = plane.file("@flow\ndef whole():\n    time.sleep(3600)\n    Path(__file__).with_suffix('.ran').touch()")
    row = plane.execute(f"{file}:whole", timeout_s=0.5)
    assert row["state_name"] == "TimedOut"
    assert not file.with_suffix(".ran").exists()


def test_a_thread_that_was_given_up_taints_the_process(plane: Plane) -> None:
    file = plane.file("""
@task(timeout_seconds=0.2)
def hangs(): time.sleep(3)
@flow
def tainted():
    try: hangs.submit().result()
    except Exception as error: return type(error).__name__
@flow
def clean():
    try: hangs()
    except Exception as error: return type(error).__name__
""")
    assert plane.attempt(plane.run(f"{file}:tainted")) is True
    assert plane.attempt(plane.run(f"{file}:clean")) is False
    assert [row["result"] for row in plane.rows()] == [b'"RunTimedOut"'] * 2


def test_async_flows_get_a_loop_of_their_own(plane: Plane) -> None:
    file = plane.file("""
@task
async def double(n):
    await asyncio.sleep(0.01)
    return 2 * n
@flow
async def whole(n: int):
    return sum(await asyncio.gather(*(double(i) for i in range(n))))
""")
    assert plane.execute(f"{file}:whole", {"n": 5})["result"] == b"20"


def test_an_attempt_that_was_given_up_stops_and_writes_nothing(plane: Plane) -> None:
    file = plane.file("""
@task
def wait_for(name):
    folder = Path(__file__).parent
    (folder / f"{name}.here").touch()
    while not (folder / f"{name}.go").exists(): time.sleep(0.01)
@flow
def whole():
    wait_for("a")
    Path(__file__).with_suffix(".ran").touch()
""")
    run_id = plane.run(f"{file}:whole")
    handle(plane.store, SCOPE, run_id, Dispatch(new_id()))
    key = attempts.attempt_id(run_id, 1)
    thread = threading.Thread(target=execute_attempt, args=(plane.store, plane.settings, key, 1))
    thread.start()
    until(lambda: (plane.folder / "a.here").exists() and plane.tasks())
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "gone"))
    (plane.folder / "a.go").touch()
    thread.join(20)
    assert not file.with_suffix(".ran").exists()
    row = plane.row(run_id)
    assert (row["state_name"], row["attempt"]) == ("Recovering", 1)
    assert [t["state_name"] for t in plane.tasks()] == ["Crashed"]


def test_a_restarted_run_takes_over_what_was_done(plane: Plane) -> None:
    file = plane.file("""
@task
def once(n):
    with open(Path(__file__).with_name("effects"), "a") as out: out.write(f"{n}\\n")
    return (n, n)
@flow
def inner(): return once("inner")
@flow
def whole():
    found = [once(1), inner(), once(1)]
    if not Path(__file__).with_name("mended").exists(): raise ValueError("broken")
    return len(found)
""")
    first = plane.execute(f"{file}:whole")
    assert first["state_name"] == "Failed"
    file.with_name("mended").touch()
    second = plane.execute(f"{file}:whole", restart_of=first["id"])
    assert (second["state_name"], second["result"]) == ("Completed", b"3")
    assert file.with_name("effects").read_text() == "1\ninner\n1\n"
    assert {t["state_name"] for t in plane.tasks(second["id"])} == {"Cached"}
    third = plane.execute(f"{file}:whole", restart_of=second["id"])
    assert third["state_name"] == "Completed"
    file.with_name("mended").unlink()
    fourth = plane.run(f"{file}:whole", restart_of=first["id"], retry_policy={"retries": 1, "delays": [0]})
    plane.attempt(fourth)
    file.with_name("mended").touch()
    plane.attempt(fourth)
    assert (plane.row(fourth)["state_name"], plane.row(fourth)["attempt"]) == ("Completed", 2)
    assert file.with_name("effects").read_text() == "1\ninner\n1\n"


# --- killed, cancelled: in a process of its own --------------------------------------------------------------------

CHILD = """
import sys
from hub.runtime.attempt import execute_attempt, ignore_late_cancels
from hub.settings import load_settings
from hub.store import open_hub
ignore_late_cancels()
settings = load_settings()
store = open_hub(settings)
for key in sys.argv[1:]:
    print("tainted" if execute_attempt(store, settings, key, 1) else "clean", flush=True)
"""


@contextmanager
def child(*attempt_ids: str, before: str = "") -> Iterator[subprocess.Popen[str]]:
    process_ = subprocess.Popen(
        [sys.executable, "-c", before + CHILD, *attempt_ids], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process_
    finally:
        process_.kill()
        process_.communicate(timeout=20)


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def dispatched(plane: Plane, entrypoint: str, **more: Any) -> tuple[str, str]:
    run_id = plane.run(entrypoint, **more)
    handle(plane.store, SCOPE, run_id, Dispatch(new_id()))
    return run_id, attempts.attempt_id(run_id, 1)


def effects(file: Path) -> list[str]:
    return sorted(file.with_name("effects").read_text().split())


def test_a_run_that_was_killed_goes_on_where_it_was(plane: Plane) -> None:
    file = plane.file("""
HERE = Path(__file__).parent

@task
def once(n):
    with open(HERE / "effects", "a") as out: out.write(f"{n}\\n")
    return n, {"set": {n}}

@task
def hangs():
    (HERE / "hanging").touch()
    while not (HERE / "go").exists(): time.sleep(0.01)
    return "hung"

@flow
def inner():
    found = once("inner")
    hangs()
    return found

@flow
def whole():
    first = once("a"), once("a")
    many = once.map(range(20)).result()
    return [first, many[-1], inner(), once("z")]
""")
    run_id, key = dispatched(plane, f"{file}:whole")
    with child(key) as killed:
        until(lambda: (plane.folder / "hanging").exists())
        killed.send_signal(signal.SIGKILL)
        killed.wait(20)
    assert len(effects(file)) == 23
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "killed"))
    (plane.folder / "go").touch()
    plane.attempt(run_id)
    row = plane.row(run_id)
    assert (row["state_name"], row["attempt"], row["crashes"]) == ("Completed", 2, 1)
    assert effects(file) == sorted(["a", "a", "inner", "z", *map(str, range(20))])
    first, second = plane.rows("inner")
    assert (first["state_name"], second["state_name"], second["restart_of"]) == ("Crashed", "Completed", first["id"])
    tasks = {t["name"]: t for t in plane.tasks(run_id)}
    assert (tasks["inner-0"]["state_name"], tasks["inner-0"]["attempt"]) == ("Completed", 2)
    names = plane.history(run_id, tasks["inner-0"]["id"])
    assert names == ["Running", "Crashed", "Running", "Completed"]
    assert tasks["once-0"]["attempt"] == 1


@pytest.mark.long("sqlite")
def test_steps_that_a_new_attempt_does_not_meet_are_closed(plane: Plane) -> None:
    file = plane.file("""
HERE = Path(__file__).parent
@task
def hangs():
    (HERE / "hanging").touch()
    time.sleep(60)
@flow
def whole():
    if runtime_context().attempt == 1: hangs()
""")
    run_id, key = dispatched(plane, f"{file}:whole")
    with child(key) as killed:
        until(lambda: (plane.folder / "hanging").exists() and plane.tasks())
        killed.send_signal(signal.SIGKILL)
        killed.wait(20)
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "killed"))
    plane.attempt(run_id)
    (task,) = plane.tasks()
    assert (task["state_name"], task["state_message"]) == ("Crashed", "killed")
    assert plane.row(run_id)["state_name"] == "Completed"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.long("sqlite-sync", "postgresql-async")
def test_a_cancel_stops_blocking_code_and_is_confirmed(plane: Plane, kind: str) -> None:
    file = plane.file("""
HERE = Path(__file__).parent
@task
def sleeps():
    (HERE / "here").touch()
    time.sleep(60)
@flow
def sync():
    try: sleeps()
    finally: (HERE / "cleaned").touch()
    (HERE / "ran").touch()

@task
async def rests():
    (HERE / "here").touch()
    await asyncio.sleep(60)
@flow(name="async")
async def async_():
    try: await rests()
    finally: (HERE / "cleaned").touch()
    (HERE / "ran").touch()

@flow
def second(): (HERE / "second").touch()
""")
    run_id, key = dispatched(plane, f"{file}:{kind}")
    _, next_key = dispatched(plane, f"{file}:second")
    with child(key, next_key) as worker:
        until(lambda: (plane.folder / "here").exists())
        worker.send_signal(signal.SIGUSR2)  # nobody asked for a cancel: it goes on
        handle(plane.store, SCOPE, run_id, Cancel("not wanted any more"))
        worker.send_signal(signal.SIGUSR2)
        until(lambda: (plane.folder / "second").exists())
        worker.send_signal(signal.SIGUSR2)  # too late
        out, _ = worker.communicate(timeout=20)
    assert out == "clean\nclean\n"
    row = plane.row(run_id)
    assert (row["state_name"], row["state_type"]) == ("Cancelled", "CANCELLED")
    assert [t["state_name"] for t in plane.tasks(run_id)] == ["Cancelled"]
    assert (plane.folder / "cleaned").exists()
    assert not (plane.folder / "ran").exists()
