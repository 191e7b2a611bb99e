"""The loader against plugins that are wrong in every way we know: each is a row that says why, and no more."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest
from hub import pluginimports
from hub import plugins as loader
from hub.hooks import Hooks
from hub.plugins import LoadedPlugin, load_plugins
from hub.settings import Settings, load_settings
from hub.types import Scope

MANIFEST = 'name = "{name}"\nsummary = "A plugin."\nhookspec = "{hookspec}"\n'
GOOD = "from hub import hookimpl\n@hookimpl\ndef hub_run_state(event):\n    pass\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path}, environ={})


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages that can be imported during one test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("stranger_"):
            del sys.modules[name]


def stranger(
    site: Path, name: str, code: str = GOOD, *, hookspec: str = ">=1.0,<2", manifest: str | None = None
) -> str:
    package = site / f"stranger_{name}"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(code)
    (package / "manifest.toml").write_text(
        MANIFEST.format(name=name, hookspec=hookspec) if manifest is None else manifest
    )
    return f"stranger_{name}.plugin"


def load(settings: Settings, *points: tuple[str, str]) -> tuple[dict[str, LoadedPlugin], Hooks]:
    found = [EntryPoint(name, value, loader.GROUP) for name, value in points]
    loaded = load_plugins(settings, process="upkeep", found=found)
    return {row.name: row for row in loaded.table}, loaded.hooks


WRONG = {
    "raises": ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "broken": ("def (", "SyntaxError"),
    "misspelt": ("from hub import hookimpl\n@hookimpl\ndef hub_run_stat(): pass\n", "no hook named hub_run_stat"),
    "greedy": ("from hub import hookimpl\n@hookimpl\ndef hub_run_state(wrong): pass\n", "wrong"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_plugin_that_cannot_be_loaded_is_a_row_and_the_next_one_loads(
    settings: Settings, site: Path, name: str
) -> None:
    code, problem = WRONG[name]
    rows, hooks = load(settings, (name, stranger(site, name, code)), ("zgood", stranger(site, "zgood")))
    assert rows[name].state == "failed"
    assert problem in rows[name].problem
    assert rows["zgood"].state == "loaded"
    assert [result.plugin for result in hooks.run_state({}, {})] == ["zgood"]


def test_an_import_that_hangs_is_left_behind(settings: Settings, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pluginimports, "IMPORT_LIMIT", 2.0)
    go = site / "go"
    code = f"import time\nfrom pathlib import Path\nwhile not Path({str(go)!r}).exists():\n    time.sleep(0.01)\n"
    hanging = stranger(site, "hanging", code)
    try:
        rows, _ = load(settings, ("hanging", hanging), ("zgood", stranger(site, "zgood")))
    finally:
        go.touch()
    assert rows["hanging"].state == "failed"
    assert "did not end within 2 s" in rows["hanging"].problem
    assert rows["zgood"].state == "loaded"


@pytest.mark.parametrize("value", ["", "!!! no module", "stranger_absent.plugin", "os"])
def test_an_entry_point_that_names_no_plugin_is_a_row(settings: Settings, site: Path, value: str) -> None:
    rows, _ = load(settings, ("bad", value), ("zgood", stranger(site, "zgood")))
    assert rows["bad"].state == "failed"
    assert rows["bad"].problem
    assert rows["zgood"].state == "loaded"


def test_a_distribution_without_readable_metadata_is_a_stranger(settings: Settings, site: Path) -> None:
    class HalfRemoved(Distribution):
        def read_text(self, filename: str) -> str | None:
            raise OSError("gone")

        def locate_file(self, path: str | os.PathLike[str]) -> Path:
            return Path(path)

    point = EntryPoint("half", stranger(site, "half"), loader.GROUP)
    vars(point).update(dist=HalfRemoved())
    loaded = load_plugins(settings, process="upkeep", found=[point])
    assert [(row.name, row.distribution, row.state) for row in loaded.table] == [("half", "", "loaded")]
    assert loaded.hooks.trusted == frozenset()


def test_a_plugin_for_another_hook_specification_is_not_imported(settings: Settings, site: Path) -> None:
    value = stranger(site, "newer", "raise RuntimeError('imported')", hookspec=">=2")
    rows, _ = load(settings, ("newer", value))
    assert rows["newer"].state == "incompatible"
    assert ">=2" in rows["newer"].problem
    assert "stranger_newer.plugin" not in sys.modules


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ("name = ", "cannot be read"),
        ('name = "odd"', "summary"),
        ('name = "odd"\nsummary = "x"\nhookspec = "newest"', "cannot be read"),
        ('name = "odd"\nsummary = "x"\nmood = "good"', "mood"),
        ('name = "other"\nsummary = "x"', "'other'"),
    ],
)
def test_a_wrong_manifest_is_said_in_a_sentence(settings: Settings, site: Path, manifest: str, problem: str) -> None:
    rows, _ = load(settings, ("odd", stranger(site, "odd", manifest=manifest)))
    assert rows["odd"].state == "failed"
    assert problem in rows["odd"].problem


def test_a_taken_name_is_refused(settings: Settings, site: Path) -> None:
    value = stranger(site, "twin")
    found = [EntryPoint("twin", value, loader.GROUP)] * 2
    states = [(row.state, row.problem) for row in load_plugins(settings, process="upkeep", found=found).table]
    assert states == [("loaded", ""), ("failed", "another plugin has this name")]


@pytest.mark.parametrize(("mode", "error"), [("raise", "told to raise"), ("hang", "did not end within 2 s")])
def test_the_strangers_plugin_misbehaves_and_the_hub_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, mode: str, error: str
) -> None:
    monkeypatch.setenv("ECHO_MODE", mode)
    loaded = load_plugins(settings, process="upkeep")
    assert "echo" in {row.name for row in loaded.table}, "tests/thirdparty is not installed: run scripts/test"
    event = {"type": "hub.run.started"}  # means nothing to the other plugins
    run = {"id": "1", "workspace_id": Scope().workspace_id, "deployment_name": "", "flow_name": "f", "ended_at": None}
    failed = [result for result in loaded.hooks.run_state(event, run) if not result.ok]
    assert [result.plugin for result in failed] == ["echo"]
    assert error in failed[0].error
    (told,) = [row for row in loaded.hooks.health_of_hooks()["echo"] if row["hook"] == "hub_run_state"]
    assert told["errors"] == 1
    assert error in told["last_error"]
