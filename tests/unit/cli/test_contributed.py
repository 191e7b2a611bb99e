"""Commands of plugins: named without being imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hub.cli import contributed, main
from hub.cli.settings import markdown_table, rows
from hub.settings import load_settings


def test_a_manifest_is_found_without_importing_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "strange_package" / "inner"
    folder.mkdir(parents=True)
    (tmp_path / "strange_package" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "manifest.toml").write_text('name = "strange"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    assert contributed._manifest("strange_package.inner.plugin") == folder / "manifest.toml"
    assert "strange_package" not in sys.modules


def test_a_package_that_is_not_there_is_an_import_error() -> None:
    with pytest.raises(ImportError):
        contributed._manifest("no_such_package_at_all.plugin")


def test_settings_are_listed_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUB_API_KEY", "hub_api_secret")
    found = {row["name"]: row for row in rows(load_settings())}
    assert found["api_key"]["value"] == "********"
    assert found["api_key"]["source"] == "environment"
    assert found["web_port"]["source"] == "default"
    assert main(["settings"]) == 0
    assert "hub_api_secret" not in capsys.readouterr().out
    assert main(["settings", "--markdown"]) == 0
    assert capsys.readouterr().out == markdown_table()


def test_a_new_key_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secrets", "key"]) == 0
    first = capsys.readouterr().out
    assert main(["secrets", "key"]) == 0
    assert capsys.readouterr().out != first
