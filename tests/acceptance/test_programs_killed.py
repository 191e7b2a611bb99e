"""kill -9 of the process that runs a program: nothing of the program is left behind, wherever the kill falls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
CODE = """
import sys
from hub import flow, shell
work = shell(
    "trap '' TERM; echo $HUB_OUTPUT > {mark}.new; mv {mark}.new {mark}; sleep 311 & sleep 312; wait",
    output="text_file", grace_seconds=0.3, env={"HUB_TEST_MARK": "{mark}"},
)
@flow
def f(mark):
    return work.submit(mark).result() if mark.endswith("submitted") else work(mark)
if __name__ == "__main__":
    f(sys.argv[1])
"""


def _of(mark: Path) -> set[int]:
    """Processes that carry the mark in their environment."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if f"HUB_TEST_MARK={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
            except OSError:
                continue
    return found


def _until(what: str, true: Callable[[], bool]) -> None:
    end = time.monotonic() + 40
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def _started(tmp_path: Path, mark: Path) -> subprocess.Popen[bytes]:
    file = tmp_path / "flows.py"
    file.write_text(CODE)
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    return subprocess.Popen([sys.executable, str(file), str(mark)], env=environ, cwd=tmp_path)


@pytest.mark.parametrize("how", ["called", "submitted"])
def test_a_killed_process_takes_its_program_along(tmp_path: Path, how: str) -> None:
    mark = tmp_path / how
    process = _started(tmp_path, mark)
    try:
        _until("it has not begun", lambda: mark.exists() and len(_of(mark)) >= 3)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        _until("its program still runs", lambda: not _of(mark))
        _until("its folder is still there", lambda: not Path(mark.read_text().strip()).parent.exists())
    finally:
        process.kill()
        process.wait(20)


def test_a_kill_at_any_moment_of_the_start_leaves_nothing(tmp_path: Path) -> None:
    for number in range(5):
        mark = tmp_path / f"m{number}"
        process = _started(tmp_path, mark)
        # Killed at the first sight of a child of it, then a little later each time.
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        _until("it starts nothing", lambda of=children: bool(of.read_text().split()))  # type: ignore[misc]
        time.sleep(number * 0.0015)
        process.kill()
        process.wait(20)
        _until("something still runs", lambda of=mark: not _of(of))  # type: ignore[misc]
    _until("a folder is still there", lambda: not list(tmp_path.glob("hub-output-*")))
