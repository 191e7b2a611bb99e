"""A shell on a home of its own: commands in this process, through the real API."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hub.cli import main

FLOW = '''
from hub import flow, task

@task
def double(n: int) -> int:
    return 2 * n

@flow(retries=1)
def twice(n: int = 1, code: str = "") -> int:
    """Doubles a number."""
    return double(n)
'''


class Shell:
    """Types commands and reads what they printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *words: str, code: int = 0, stdin: str = "") -> str:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        given = main(words)
        captured = self._capsys.readouterr()
        self.out = captured.out
        assert given == code, captured.err
        return captured.out if code == 0 else captured.err

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))


@pytest.fixture
def hub(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell on a home of its own."""
    return Shell(capsys, monkeypatch)


@pytest.fixture
def flow_file(tmp_path: Path) -> str:
    """A file with one flow."""
    file = tmp_path / "twice.py"
    file.write_text(FLOW)
    return str(file)
