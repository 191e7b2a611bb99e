"""The demo, as anybody would start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
STORY = (
    "A hub, from nothing",
    "answers at http://127.0.0.1:",
    "$ hub deploy",
    "receipt",
    "github.push",
    "after 1 retry",
    "Completed",
    "github.workflow_run",
    "Failed",
    "arrived:",
    "with the first receipt's id",
    "started nothing",
    "refused",
    "Timings",
)


def test_the_demo_tells_its_whole_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", "demo"],
        capture_output=True, text=True, timeout=110, env=_environment(tmp_path), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = [part for part in STORY if part not in done.stdout]
    assert told == [], done.stdout
    assert "\x1b[" not in done.stdout, "plain when it is not a terminal"
    assert [path for path in (tmp_path / "tmp").iterdir() if path.name.startswith("hub-")] == []
    assert _processes(tmp_path) == set()


def test_keep_stays_up_until_it_is_interrupted(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "hub.cli", "demo", "--keep"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment(tmp_path), start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "dashboard" in line)
        assert "/ui" in line
        assert len(_processes(tmp_path)) > 2, "they are seen while they are there"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=40) in (0, 130)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()
    assert _processes(tmp_path) == set()


def _environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "tmp")}


def _processes(folder: Path) -> set[str]:
    """Command lines of this machine's processes that belong to a demo in a folder: started for it, or working in it."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                started_for = (entry / "environ").read_bytes()
                works_in = os.readlink(entry / "cwd")
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder).encode() in started_for or works_in.startswith(str(folder)):
                found.add(line)
    return found
