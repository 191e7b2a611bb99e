"""What tests with processes of their own share: a store that these find, an upkeep process, waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hub.settings import load_settings
from hub.store import Store, open_hub


def shared_store(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """A migrated store, `sqlite` or `postgresql`, which processes that are started from now on use too."""
    monkeypatch.setenv("HUB_HOME", str(tmp_path / "home"))
    if kind == "postgresql":
        monkeypatch.setenv("HUB_DATABASE_URL", request.getfixturevalue("postgres_url"))
    store = open_hub(load_settings())
    store.migrate()
    return store


@contextmanager
def upkeep() -> Iterator[subprocess.Popen[bytes]]:
    """The real process, in a group of its own."""
    command = [sys.executable, "-m", "hub.cli", "upkeep"]
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def until(holds: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait for something, and give it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")
