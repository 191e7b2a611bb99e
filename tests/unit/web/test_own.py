"""The socket that only this machine's user may open: who takes it, and who asks through it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from hub.cli import main
from hub.settings import Settings, load_settings
from hub.web import own
from hub.web.app import build_app


def test_only_its_user_may_open_it_and_it_goes_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "home" / "api.sock"
    with own.listening(path) as sock:
        assert sock is not None
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert own.answers(path)
    assert not path.exists()
    assert not own.answers(path)


def test_a_second_one_leaves_it_to_the_first(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with own.listening(path) as first:
        assert first is not None
        with own.listening(path) as second:
            assert second is None
        assert own.answers(path)


def test_one_left_by_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert not own.answers(path)
    with own.listening(path) as sock:
        assert sock is not None
        assert own.answers(path)


def test_where_no_socket_can_be_the_hub_starts_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with own.listening(tmp_path / ("x" * 200)) as sock:
        assert sock is None
    assert "open the database themselves" in caplog.text


def test_it_is_another_one_for_another_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Settings(home=tmp_path)
    monkeypatch.chdir(tmp_path)
    assert Settings(home=tmp_path, database_url="postgresql://h/a").api_socket != mine.api_socket
    assert Settings(home=tmp_path, database_url="sqlite:///hub.db").api_socket == mine.api_socket


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A web process that wants a login on its port: its address, itself."""
    monkeypatch.setenv("HUB_WEB_LOGIN", "always")
    command = [sys.executable, "-m", "hub.cli", "web", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        yield next(word for word in words if word.startswith("http")).removesuffix("/ui"), process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_who_comes_through_it_is_the_owner_and_nobody_else_is(web: tuple[str, subprocess.Popen[str]]) -> None:
    path = load_settings().api_socket
    mine = httpx2.HTTPTransport(uds=str(path))
    with (
        httpx2.Client(base_url="http://127.0.0.1", transport=mine) as client,
        httpx2.Client(base_url=web[0]) as stranger,
    ):
        assert client.get("/api/v1/me").json()["kind"] == "local"
        assert stranger.get("/api/v1/me").status_code == 401
        assert stranger.get("/api/v1/me", headers={own.SCOPE_KEY: "true"}).status_code == 401
        # A proxy that somebody put before it speaks for others.
        assert client.get("/api/v1/me", headers={"x-forwarded-for": "192.0.2.1"}).status_code == 401
        assert client.get("/api/v1/me", headers={"host": "hub.example"}).status_code == 421
        assert client.get("/api/v1/me", headers={"authorization": "Bearer hub_api_x"}).status_code == 401


def test_commands_ask_the_running_hub_and_do_without_when_it_is_gone(
    web: tuple[str, subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[object] = []

    def build(*given: object, **more: object) -> object:
        asked.append(given)
        return build_app(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("hub.web.app.build_app", build)
    assert main(["queues", "set", "big"]) == 0
    assert (main(["queues", "ls"]), asked) == (0, [])
    web[1].kill()
    web[1].wait(30)
    assert load_settings().api_socket.exists()
    assert (main(["queues", "ls"]), len(asked)) == (0, 1)
    assert capsys.readouterr().out.count("big") >= 2
