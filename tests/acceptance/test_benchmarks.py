"""The floors and flows that benchmarks measure must work whenever they are asked to."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hub.runtime.broker import binary
from hub.testing.demo.site import Site, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
needs_valkey = pytest.mark.skipif(binary() is None, reason="there is no Valkey for this machine")


def _benchmark(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    return importlib.import_module(f"benchmarks.{name}")


@needs_valkey
def test_bare_celery_starts_again_in_the_same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    bare_celery = _benchmark("bare_celery", monkeypatch)
    for _ in range(2):
        with bare_celery.BareCelery() as bare:
            assert bare.rate(3) > 0


@needs_valkey
@pytest.mark.parametrize("how", ["list", "iterator"])
def test_a_map_over_celery_is_measured(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = _benchmark("mapped", monkeypatch)
    with Site() as site:
        site.start()
        found = mapped.spread(site, how, 60)
    assert found["seconds"] > 0
    assert found["peak"] > 0


def test_without_an_interpreter_there_are_no_rows_of_prefect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = _benchmark("peers", monkeypatch)
    monkeypatch.delenv(peers.VARIABLE, raising=False)
    assert peers.measure(quick=True) == []
    assert peers.VARIABLE in capsys.readouterr().err


@pytest.mark.parametrize("python", [sys.executable, "/no/such/python"])
def test_an_interpreter_without_prefect_is_named(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    peers = _benchmark("peers", monkeypatch)
    monkeypatch.setenv(peers.VARIABLE, python)
    with pytest.raises(RuntimeError, match=python):
        peers.measure(quick=True)


def test_our_side_of_the_comparison_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = _benchmark("peers", monkeypatch)
    found = peers.timed(sys.executable, peers.OURS, 20, 2)
    assert [len(found[way]) for way in ("called", "mapped")] == [2, 2]


def test_a_peer_that_takes_too_long_leaves_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    peers = _benchmark("peers", monkeypatch)
    note = tmp_path / "pid"
    hangs = tmp_path / "python"
    hangs.write_text(f"#!/bin/sh\nsleep 600 &\necho $! >{note}\nwait\n")
    hangs.chmod(0o755)
    with pytest.raises(RuntimeError, match="took longer than 1 s"):
        peers.timed(str(hangs), "", 1, 1, limit=1)
    until("what it started to be gone", lambda: _ended(int(note.read_text())))


def _ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that its parent has yet to fetch."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(("what", "within"), [("task", "TaskRecord.signal"), ("webhook", "_Taken.judge")])
def test_what_python_does_for_one_is_counted(what: str, within: str) -> None:
    command = [sys.executable, "-m", "benchmarks.opcodes", what, "--top", "1000"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    counted = re.match(r"([0-9,]+) instructions, ([0-9.]+) calls\n", done.stdout)
    assert counted is not None, done.stdout
    assert 1_000 < int(counted[1].replace(",", "")) < 10_000
    assert within in done.stdout
