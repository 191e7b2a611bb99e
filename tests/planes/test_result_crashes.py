"""A process that is killed around keeping a result: the bytes come first, the row never names what is not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from hub.engine.run import Dispatch, Lose
from hub.runtime.collecting import YOUNG, Collector
from hub.runtime.orchestrator import handle
from hub.store import attempts
from hub.types import Scope, new_id, now_us
from tests.planes.conftest import Plane

SCOPE = Scope()
FLOW = """
@task(result_store="local")
def load():
    with Path(__file__).with_suffix(".calls").open("a") as calls:
        calls.write("load ")
    return "rows"
@flow
def whole():
    return load() + load()
"""
CODE = """
import os, signal, sys
from hub.resultstores.files import FileResults
from hub.runtime.attempt import execute_attempt
from hub.settings import load_settings
from hub.store import open_hub

attempt_id, moment = sys.argv[1:]
put = FileResults.put
def killed(self, key, data):
    if moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, key, data)
    os.kill(os.getpid(), signal.SIGKILL)
FileResults.put = killed
settings = load_settings()
execute_attempt(open_hub(settings), settings, attempt_id, 1)
"""


@pytest.mark.parametrize(("moment", "left"), [("before", 0), ("after", 1)])
def test_a_kill_while_a_result_is_kept_leaves_an_orphan_at_most(plane: Plane, moment: str, left: int) -> None:
    file = plane.file(FLOW)
    run_id = plane.run(f"{file}:whole")
    number = handle(plane.store, SCOPE, run_id, Dispatch(new_id())).attempt
    attempt_id = attempts.attempt_id(run_id, number)
    done = subprocess.run([sys.executable, "-c", CODE, attempt_id, moment], env=os.environ.copy(), timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert [row["result"] for row in plane.tasks()] in ([], [None])
    results = plane.settings.home / "results"
    found = [path for path in results.rglob("*") if path.is_file()]
    assert len(found) == left
    handle(plane.store, SCOPE, run_id, Lose(number, 1, "killed"))
    plane.attempt(run_id)
    assert (plane.row(run_id)["state_name"], plane.row(run_id)["result"]) == ("Completed", b'"rowsrows"')
    assert file.with_suffix(".calls").read_text() == "load " * 3
    for path in results.rglob("*"):
        if path.is_file():
            os.utime(path, ns=((now_us() - 2 * YOUNG) * 1000,) * 2)
    assert Collector(plane.store, plane.settings).orphans(SCOPE).orphans == left
    assert len([path for path in results.rglob("*") if path.is_file()]) == 2
