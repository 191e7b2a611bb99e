"""The root of the command line: help, unknown commands, errors, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub.cli import main
from hub.cli.app import COMMANDS, build
from hub.version import __version__


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--version"], ["version"]):
        assert main(words) == 0
        assert capsys.readouterr().out == f"hubspoke {__version__}\n"


def test_help_names_every_command_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name, *_ in COMMANDS)


def test_help_loads_neither_the_database_nor_the_web() -> None:
    script = "import sys; from hub.cli import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    for heavy in ("'sqlalchemy'", "'starlette'", "'pydantic'", "'celery'", "'httpx2'", "'asyncio'"):
        assert heavy not in done.stderr


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploymnets"]) == 2
    shown = capsys.readouterr().err
    assert "no command 'deploymnets'" in shown
    assert "hub deployments" in shown


def test_a_wrong_option_is_a_sentence_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "ls", "--state", "NOWHERE"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Error: ")
    assert "hub runs ls --help" in shown
    assert "Traceback" not in shown


def test_an_error_is_json_where_json_was_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_NO_SUCH_SETTING", "1")
    assert main(["settings", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "invalid-setting"


def test_a_wrong_setting_is_refused_before_anything_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_WEB_PORT", "many")
    assert main(["settings"]) == 2
    assert "web_port" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    environment = {**os.environ, "HUB_HOME": str(tmp_path)}
    done = subprocess.run(
        f"{sys.executable} -m hub.cli settings --json | head -c 10",
        shell=True, capture_output=True, text=True, timeout=60, env=environment,
    )  # fmt: skip
    assert done.stderr == ""


def test_every_command_has_a_line_of_help() -> None:
    root = build()
    for name, *_ in COMMANDS:
        assert root[name].help, name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown_and_names_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "show", "--shell", shell]) == 0
    assert "deployments" in capsys.readouterr().out


def test_completion_installs_where_the_shell_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["completion", "install", "--shell", "fish"]) == 0
    assert [path.name for path in tmp_path.rglob("*.fish")] == ["hub.fish"]
