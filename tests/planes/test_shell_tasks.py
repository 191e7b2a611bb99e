"""Programs as tasks: logged, retried, cached, limited in time, cancelled, sent to workers, like all tasks."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, shell
from hub.cache_policies import INPUTS, TASK_SOURCE
from hub.errors import ProgramFailed, RunTimedOut
from hub.sdk import Connection
from tests.planes.test_remote import Workers

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

CODE = """
from hub.errors import ProgramFailed
say = shell("echo {text}", name="say")

@flow(task_runner=CeleryTaskRunner(chunk=2))
def spread(): return say.map(["a", "b", "c"]).result()

@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def beside(): return say.submit("a").result()"""


def _gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has asked about counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _wait_gone(pid: int) -> None:
    end = time.monotonic() + 20
    while not _gone(pid):
        assert time.monotonic() < end, f"process {pid} still runs"
        time.sleep(0.02)


def _log(plane: Plane) -> list[str]:
    return [message for logger, message in plane.logs() if logger == "program"]


def test_its_lines_are_in_the_log_and_secrets_are_not(plane: Plane) -> None:
    secret = "hunter22"
    task = shell("echo out $TOKEN; echo err $TOKEN >&2", env={"TOKEN": lambda: secret}, name="talk")

    @flow
    def whole() -> str:
        return task()

    assert whole() == f"out {secret}"
    assert sorted(_log(plane)) == ["err ***", "out ***"]
    assert [row["name"] for row in plane.tasks()] == ["talk-0"]


def test_a_long_line_is_cut_and_a_progress_bar_is_its_last_state(plane: Plane) -> None:
    task = shell("printf '10%%\\r50%%\\r100%%\\n'; head -c 100000 /dev/zero | tr '\\0' x", output="none")

    @flow
    def whole() -> None:
        task()

    whole()
    bar, *rest = _log(plane)
    assert bar == "100%"
    assert len(rest) == 2
    assert all(len(line) < 17_000 for line in rest)


def test_retries_and_the_cache_work_and_a_changed_command_is_another_source(plane: Plane) -> None:
    mark = plane.folder / "tries"
    fails = shell("echo x >> {mark}; test $(wc -l < {mark}) -ge 3", retries=3, output="none", name="fails")
    commands = ("echo {n}", "echo {n}", "echo a {n}")
    kept = [shell(command, name="kept", cache_policy=INPUTS + TASK_SOURCE) for command in commands]

    @flow
    def whole() -> list[str]:
        fails(mark)
        return [task(1) for task in kept]

    assert whole() == ["1", "1", "a 1"]
    assert mark.read_text() == "x\n" * 3
    states = [row["state_name"] for row in plane.tasks() if row["task_name"] == "kept"]
    assert states == ["Completed", "Cached", "Completed"]


def test_its_failure_has_a_class_and_its_last_lines(plane: Plane) -> None:
    task = shell("echo trouble >&2; exit 75", exit_classes={75: "infrastructure"}, name="bad")

    @flow
    def whole() -> None:
        task()

    with pytest.raises(ProgramFailed, match="exit code 75\ntrouble"):
        whole()
    (row,) = plane.tasks()
    assert (row["error_class"], row["error_type"], row["state_message"]) == (
        "infrastructure", "ProgramFailed", "exit code 75\ntrouble",
    )  # fmt: skip
    assert plane.only()["error_class"] == "infrastructure"


@pytest.mark.parametrize("submitted", [False, True])
def test_over_its_timeout_all_of_it_ends_even_what_ignores_the_signal(plane: Plane, submitted: bool) -> None:
    mark = plane.folder / "pid"
    task = shell(
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {mark}; while :; do sleep 1; done' & wait",
        timeout_seconds=0.5, grace_seconds=0.3, name="deaf",
    )  # fmt: skip

    @flow
    def whole() -> None:
        if submitted:
            task.submit(mark).result()
        else:
            task(mark)

    with pytest.raises(RunTimedOut, match="deaf-0 was over its timeout"):
        whole()
    _wait_gone(int(mark.read_text()))
    assert [row["state_name"] for row in plane.tasks()] == ["TimedOut"]


def test_a_worker_s_process_is_not_tainted_by_a_program_over_its_time(plane: Plane) -> None:
    code = "t = shell('sleep 300', timeout_seconds=0.3, grace_seconds=0.2)\n@flow\ndef f(): t.submit().result()"
    file = plane.file(code)
    run_id = plane.run(f"{file}:f")
    assert plane.attempt(run_id) is False
    assert plane.row(run_id)["state_name"] == "Failed"


def test_workers_find_it_by_its_variable_and_process_pools_leave_it_here(plane: Plane) -> None:
    file = plane.file(CODE)
    row = plane.execute(f"{file}:beside")
    assert json.loads(row["result"]) == "a", row["error_trace"]
    workers = Workers(plane)
    try:
        row = plane.execute(f"{file}:spread")
    finally:
        workers.close()
    assert json.loads(row["result"]) == ["a", "b", "c"], row["error_trace"]
    assert {task["task_name"] for task in plane.tasks()} == {"say"}
    sent = [row["entrypoint"] for row in plane.rows() if row["origin"] == "tasks"]
    assert sent == [f"{file}:say"] * 2


def test_the_file_for_its_output_goes_when_it_has_ended(plane: Plane) -> None:
    task = shell("echo $HUB_OUTPUT | tee $HUB_OUTPUT; test -n $HUB_RUN_ID -a -n $HUB_TASK_RUN_ID", output="text_file")

    @flow
    def whole() -> str:
        return task()

    folder = Path(whole().strip()).parent
    assert folder.name.startswith("hub-output-")
    assert not folder.exists()


def test_a_connection_s_secret_reaches_the_program_and_nothing_else(plane: Plane) -> None:
    class Known:
        token = type("Secret", (), {"get_secret_value": lambda self: "s3cr3t"})()

    api = Connection("api", "http", Known())
    task = shell("echo $TOKEN; exit 1", env={"TOKEN": lambda: api.token}, name="secretive")

    @flow
    def whole() -> None:
        task()

    with pytest.raises(ProgramFailed):
        whole()
    told = json.dumps([plane.logs(), plane.tasks(), plane.rows()], default=str)
    assert "s3cr3t" not in told
