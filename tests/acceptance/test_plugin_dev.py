"""`hub plugins dev`: a project's plugin in a running hub without pip, and the hub anew when a file changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from httpx2 import HTTPTransport
from hub.cli import main
from hub.client import Client
from hub.errors import HubError
from hub.settings import load_settings
from hub.web import own

from .conftest import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    # httpcore leaves the socket of a Unix connection that nobody takes to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def _plugin(name: str) -> dict[str, Any] | None:
    """The plugin as the running hub sees it; None where no hub answers."""
    socket = load_settings().api_socket
    if not own.answers(socket):
        return None
    with Client("http://127.0.0.1", transport=HTTPTransport(uds=str(socket)), tries=1) as client:
        try:
            return next((row for row in client.get("/plugins")["items"] if row["name"] == name), None)
        except HubError:
            return None  # it is just being stopped


def _is(name: str, **wanted: str) -> bool:
    row = _plugin(name)
    return row is not None and all(said in row[key] for key, said in wanted.items())


def test_the_hub_starts_again_with_what_was_changed_and_goes_on_when_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    assert main(["plugins", "new", "reloaded", "--kind", "source", "--path", str(project)]) == 0
    words = [sys.executable, "-m", "hub.cli", "plugins", "dev", str(project), "--port", "0"]
    log = (tmp_path / "log").open("w")
    running = subprocess.Popen(words, env=dict(os.environ), stdout=log, stderr=log)
    try:
        wait_until(lambda: _is("reloaded", state="loaded", summary="Webhooks of Reloaded"), 90)
        manifest = project / "src/hub_reloaded/manifest.toml"
        manifest.write_text(manifest.read_text().replace('summary = "', 'summary = "Changed: '))
        (project / "src/hub_reloaded/plugin.py").write_text("def broken(:\n")
        wait_until(lambda: _is("reloaded", state="failed", summary="Changed: "), 90)
    finally:
        running.send_signal(signal.SIGTERM)
        code = running.wait(90)
        log.close()
    said = (tmp_path / "log").read_text()
    assert code == 130, said
    assert "reloaded 0.1.0 is loaded" in said
    assert "reloaded 0.1.0 is failed: SyntaxError" in said
    assert not own.answers(load_settings().api_socket)
