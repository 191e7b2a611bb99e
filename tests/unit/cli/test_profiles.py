"""`hub profiles`: which hub the commands talk to, kept where nobody else reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hub import profiles
from hub.errors import SettingError
from hub.settings import load_settings

from .conftest import Shell

TOKEN = "hub_api_not-a-real-one"


def test_a_profile_is_made_used_and_removed(hub: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUB_PROFILE", raising=False)
    home = Path(os.environ["HUB_HOME"])
    hub("profiles", "create", "team", "https://hub.example.org/", "--token", stdin=f"{TOKEN}\n")
    assert (home / "profiles.toml").stat().st_mode & 0o777 == 0o600
    listed = {row["name"]: row for row in hub.json("profiles", "ls")}
    assert (listed["team"]["api_url"], listed["team"]["active"]) == ("https://hub.example.org", False)
    assert listed["local"]["active"]
    assert TOKEN not in hub("profiles", "ls")
    hub("profiles", "use", "team")
    settings = load_settings()
    assert (settings.api_url, settings.api_key.get_secret_value()) == ("https://hub.example.org", TOKEN)
    monkeypatch.setenv("HUB_PROFILE", "local")
    assert load_settings().api_url == ""
    monkeypatch.delenv("HUB_PROFILE")
    hub("profiles", "rm", "team", "--yes")
    assert load_settings().api_url == ""
    assert "no profile 'team'" in hub("profiles", "use", "team", code=3)
    assert "cannot be called" in hub("profiles", "create", "a/b", "https://hub.example.org", code=2)
    assert "this machine's own" in hub("profiles", "create", "local", "https://hub.example.org", code=2)


def test_any_text_comes_back_as_it_was_written(tmp_path: Path) -> None:
    texts = ['"quoted"', "back\\slash", "tab\tand\nline", "é\x7f\x01", "[table]\nx = 1"]
    with profiles.changing(tmp_path) as found:
        found.active = "a.b-c"
        found.known = {f"p.{number}": {"api_key": text} for number, text in enumerate(texts)}
    again = profiles.read(tmp_path)
    assert [again.known[f"p.{number}"]["api_key"] for number in range(len(texts))] == texts
    assert again.active == "a.b-c"


def test_a_file_that_others_may_read_or_that_says_more_is_refused(tmp_path: Path) -> None:
    with profiles.changing(tmp_path) as found:
        found.known["p"] = {"api_url": "https://hub.example.org"}
    file = profiles.path_of(tmp_path)
    file.chmod(0o640)
    with pytest.raises(SettingError, match="others may read it") as caught:
        load_settings({"home": tmp_path}, environ={})
    assert caught.value.hint == f"chmod 600 {file}"
    file.chmod(0o600)
    file.write_text('[profiles.p]\ndatabase_url = "sqlite://"\n')
    with pytest.raises(SettingError, match="'database_url'"):
        load_settings({"home": tmp_path}, environ={})
