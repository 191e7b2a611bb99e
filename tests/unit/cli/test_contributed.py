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


def test_a_manifest_that_leaves_the_place_open_has_the_hook_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package, facts = tmp_path / "stranger_open", tmp_path / "stranger_open-1.dist-info"
    package.mkdir()
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger-open\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[hub.plugins]\nopen = stranger_open.plugin\n")
    (package / "__init__.py").write_text("")
    (package / "manifest.toml").write_text(
        'name = "open"\nsummary = "Its hook knows where."\nhookspec = ">=1.0,<2"\nruns_in = ["cli"]\n[cli]\nopen = ""\n'
    )
    (package / "plugin.py").write_text(
        "from hub import hookimpl\n@hookimpl\ndef hub_cli():\n    return {'open': 'stranger_open.plugin:app'}\n"
        "from cyclopts import App\napp = App(name='open')\n@app.command\ndef hello():\n    print('hello')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["open", "hello"]) == 0
    assert capsys.readouterr().out == "hello\n"


def test_a_command_whose_manifest_names_its_place_loads_no_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_args: object, **_more: object) -> None:
        raise AssertionError("plugins were loaded")

    monkeypatch.setattr("hub.plugins.load_plugins", load)
    assert contributed.channels.name == ("channels",)
    monkeypatch.setenv("HUB_PLUGINS", "-notifications")
    with pytest.raises(AssertionError, match="were loaded"):
        contributed._path("channels")
