"""`hub plugins new` and `hub plugins check`, typed as a person types them."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from hub.cli import scaffold
from hub.cli.scaffold import KINDS, draw
from hub.errors import UsageError
from hub.testing import projects

from .conftest import Shell


def test_nothing_is_ever_overwritten(hub: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    words = ("plugins", "new", "acme", "--kind", "panel", "--path", str(folder))
    assert "README.md already; nothing was written" in hub(*words, code=4)
    assert [path.name for path in folder.iterdir()] == ["README.md"]
    assert (folder / "README.md").read_text() == "mine"

    (tmp_path / "file").write_text("")
    assert "no folder" in hub(*words[:-1], str(tmp_path / "file"), code=4)


def killed_at(number: int, folder: Path) -> bool:
    """Make the project in a child that is killed before (even) or after (odd) so many files; whether it was."""
    pid = os.fork()
    if pid:
        return os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    left, rename = number, os.rename

    def struck(source: str, target: str) -> None:
        nonlocal left
        for step in (None, rename):
            if step is not None:
                step(source, target)
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        scaffold.os.rename = struck  # type: ignore[attr-defined]
        scaffold.write(folder, draw("acme", "action"))
    finally:
        os._exit(0)


def test_a_project_that_was_cut_off_is_none_and_the_same_command_makes_it_whole(hub: Shell, tmp_path: Path) -> None:
    whole = draw("acme", "action")
    for number in range(1_000):
        folder = tmp_path / str(number)
        words = ("plugins", "new", "acme", "--kind", "action", "--path", str(folder))
        killed = killed_at(number, folder)
        if killed and number < 2 * len(whole.files) - 1:
            with pytest.raises(UsageError, match=r"pyproject.toml cannot be read"):
                projects.read(folder)
            if number == 7:
                hub(*words)
            else:
                scaffold.refuse_taken(folder, whole)
                scaffold.write(folder, whole)
        made = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
        assert made == whole.files, number
        if not killed:
            break
    assert number == 2 * len(whole.files), "every file, before and after it got its name"
    assert "already; nothing was written" in hub(*words, code=4), "what is whole is left alone"
    (folder / "README.md").unlink()
    (folder / "CHANGELOG.md").write_text("mine")
    assert "already; nothing was written" in hub(*words, code=4), "and so is what somebody has worked on"


def test_a_dry_run_lists_the_files_and_writes_none(hub: Shell, tmp_path: Path) -> None:
    listed = hub("plugins", "new", "acme", "--kind", "source", "--path", str(tmp_path / "new"), "--dry-run")
    names = [Path(line).relative_to(tmp_path / "new").as_posix() for line in listed.splitlines()[:-1]]
    assert {"pyproject.toml", "src/hub_acme/manifest.toml", ".github/workflows/test.yml"} <= set(names)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("Acme", "panel", "lower-case"),
        ("a", "panel", "lower-case"),
        ("acme--chat", "panel", "lower-case"),
        ("acme-", "panel", "lower-case"),
        ("9lives", "panel", "lower-case"),
        ("../acme", "panel", "lower-case"),
        ("a" * 31, "panel", "2 to 30"),
        ("hub-acme", "panel", "Write acme."),
        ("webhooks", "panel", "a plugin of hubspoke has the name"),
        ("stripe", "source", "the webhook preset stripe"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(hub: Shell, tmp_path: Path, name: str, kind: str, told: str) -> None:
    refused = hub("plugins", "new", "--kind", kind, "--path", str(tmp_path / "new"), "--", name, code=2)
    assert told.lower() in refused.lower()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_every_placeholder_is_filled_in_and_python_is_python(kind: str) -> None:
    project = draw("acme-mail", kind)
    for place, text in project.files.items():
        assert re.findall(r"@[a-z_]+@", place + text) == [], place
        if place.endswith(".py"):
            compile(text, place, "exec")
            assert max(map(len, text.splitlines()), default=0) <= 120, place


@pytest.mark.parametrize(
    ("pyproject", "told"),
    [
        (None, "cannot be read"),
        ("[project", "cannot be read"),
        ("[project]\nname = 'x'\n", "announces no plugin"),
        ("[project.entry-points.'hub.plugins']\nx = 'hub_x.plugin'\n", "with a name"),
        ("[project]\nname = 'x'\n[project.entry-points.'hub.plugins']\nx = 'hub_x.plugin'\n", "has no package hub_x"),
    ],
)
def test_a_folder_that_is_no_project_is_told(hub: Shell, tmp_path: Path, pyproject: str | None, told: str) -> None:
    if pyproject is not None:
        (tmp_path / "pyproject.toml").write_text(pyproject)
    assert told in hub("plugins", "check", str(tmp_path), code=2)


def test_a_plugin_that_is_not_there_is_told(hub: Shell) -> None:
    assert "hub plugins ls" in hub("plugins", "check", "no-such-plugin", code=3)


def test_what_a_plugin_brings_is_said_in_tables_in_markdown_and_in_json(hub: Shell) -> None:
    assert "Password; empty: none is sent. (secret)" in hub("plugins", "docs", "storage")
    page = hub("plugins", "docs", "webhooks", "--markdown")
    assert page.startswith("# webhooks\n")
    assert "| github |" in page
    titles = [section["title"] for section in hub.json("plugins", "docs", "brokers")["sections"]]
    assert {"Plugin", "Webhook presets", "Consumers", "Hooks", "Connections of the kind mqtt"} <= set(titles)
    assert "HUB_PLUGIN__SECRETS__VAULT_URL" in hub("plugins", "docs", "secrets")
    assert "## What may be read" in hub("plugins", "docs", "secrets", "--markdown")
    assert [page["title"] for page in hub.json("plugins", "docs", "secrets")["pages"]] == ["What may be read"]
    assert "hub plugins ls" in hub("plugins", "docs", "no-such-plugin", code=3)
