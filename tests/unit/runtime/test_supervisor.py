"""The supervisor with real children: restarted when killed, none left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub.errors import ConflictError, SettingError
from hub.runtime.supervisor import only_one, prepare_home
from hub.settings import load_settings

_SCRIPT = """
import os, sys, time
from hub.runtime.supervisor import Child, Supervisor
def work():
    with open(sys.argv[1], "a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(60)
sys.exit(Supervisor([Child("one", work, grace=1), Child("two", work, grace=1)]).run())
"""


def pids(path: Path, count: int) -> list[int]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = [int(line) for line in path.read_text().split()] if path.exists() else []
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{count} children were not started")


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_it_starts_again_what_dies_and_leaves_no_orphan(tmp_path: Path, how: signal.Signals) -> None:
    path = tmp_path / "pids"
    supervisor = subprocess.Popen([sys.executable, "-c", _SCRIPT, str(path)])
    try:
        first = pids(path, 2)
        os.kill(first[0], signal.SIGKILL)
        third = pids(path, 3)[2]
        supervisor.send_signal(how)
        assert supervisor.wait(20) == (0 if how != signal.SIGKILL else -signal.SIGKILL)
        assert all(gone(pid) for pid in (first[1], third))
    finally:
        supervisor.kill()
        supervisor.wait(10)


def test_a_second_hub_on_the_same_home_is_refused(tmp_path: Path) -> None:
    settings = load_settings({"home": tmp_path}, environ={})
    code = (
        "from hub.settings import load_settings\nfrom hub.runtime.supervisor import only_one\n"
        "with only_one(load_settings()):\n    print('held', flush=True)\n    input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "HUB_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConflictError, match=str(other.pid)), only_one(settings):
            pass
    finally:
        other.kill()
        other.communicate(timeout=10)
    with only_one(settings):
        pass


def test_a_home_that_cannot_be_written_is_said_so() -> None:
    with pytest.raises(SettingError, match="cannot be written"):
        prepare_home(load_settings({"home": "/proc/hub-home"}, environ={}))
