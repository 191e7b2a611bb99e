"""docs/plugins/tutorial.md, command by command and file by file, where only the hub is installed."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from hub.client import Client
from hub.settings import load_settings
from hub.web import own
from tests.acceptance import fresh
from tests.architecture.repository import ROOT, code_blocks

from .conftest import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # httpcore leaves the socket of a Unix connection that nobody takes to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PAGE = ROOT / "docs/plugins/tutorial.md"


class Reader:
    """Somebody who does what the page says."""

    def __init__(self, folder: Path) -> None:
        self.programs = fresh.programs(folder)
        self.folder = self.place = folder
        self.dev: subprocess.Popen[bytes] | None = None

    def write(self, place: str, text: str) -> None:
        """Write a file; add to those that the scaffold has made, where the page says so."""
        path = self.folder / place
        if place == "pyproject.toml":
            path.write_text(path.read_text().replace("[project]\n", f"[project]\n{text}"))
        elif place == "README.md":
            path.write_text(path.read_text() + text)
        else:
            path.write_text(text)

    def type(self, line: str) -> str:
        """Type a line; gives what it printed."""
        words = shlex.split(line)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return ""
        if words[:3] == ["hub", "plugins", "dev"]:
            whole, env = [str(self.programs / "hub"), *words[1:], "--port", "0"], fresh.environment(self.programs)
            with (self.place / "dev.log").open("wb") as log:
                self.dev = subprocess.Popen(whole, cwd=self.folder, env=env, stdout=log, stderr=log)
            wait_until(lambda: own.answers(load_settings().api_socket), 90, "the hub of `hub plugins dev`")
            return ""
        done = fresh.call(self.programs, self.folder, *words)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader in an empty folder; the hub of theirs ends with the test."""
    made = Reader(tmp_path)
    yield made
    if made.dev is not None:
        made.dev.send_signal(signal.SIGTERM)
        made.dev.wait(90)
    fresh.call(made.programs, tmp_path, "pip", "uninstall", "-q", "-y", "hub-shop")


@pytest.mark.long
def test_who_does_what_the_tutorial_says_has_a_plugin_of_gold(reader: Reader) -> None:
    said: dict[str, str] = {}
    for _, info, text in code_blocks(PAGE):
        language, _, place = info.partition(" ")
        if language != "sh":
            reader.write(place, text)
            continue
        for line in text.splitlines():
            said[line] = reader.type(line)
        if "hub trigger" in text:
            an_order_was_booked_and_is_shown()
    assert "shop.book_order" in said["hub plugins show shop"]
    assert "is gold" in said["hub plugins check . --level gold"]
    assert "book_order" in said["hub plugins docs shop --markdown"]


def an_order_was_booked_and_is_shown() -> None:
    """By the hub that runs, as a client and a browser see it."""
    place, socket = "http://127.0.0.1", str(load_settings().api_socket)
    with Client(place, transport=httpx2.HTTPTransport(uds=socket)) as client:
        run = wait_until(lambda: next(iter(client.get("/runs", {"state": "COMPLETED"})["items"]), None), 60, "the run")
    with httpx2.Client(base_url=place, transport=httpx2.HTTPTransport(uds=socket)) as web:
        page = web.get(f"/ui/runs/{run['id']}").text
    assert "order 17 is booked" in page
    assert "Order 17 of the shop" in page
