"""Commands of plugins. Their names are read from manifests; nothing is imported until one is used.

A manifest names them: `[cli]` with `channels = "package.module:app"`. Where it leaves the place empty, the plugin is
loaded and its hook `hub_cli` asked.
"""

from __future__ import annotations

import tomllib
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from hub.errors import UnavailableError


def summaries() -> dict[str, str]:
    """The commands that installed plugins announce, with a line of help each."""
    found: dict[str, str] = {}
    for entry in entry_points(group="hub.plugins"):
        for name, summary in _announced(entry).items():
            found.setdefault(name, summary)
    return found


def _announced(entry: EntryPoint) -> dict[str, str]:
    # Read without pydantic and without the plugin: this is on the way of every command line.
    try:
        manifest = tomllib.loads(_manifest(entry.module).read_text(encoding="utf-8"))
    except (OSError, ValueError, ImportError):
        return {}  # `hub plugins ls` says what is wrong with it; help must not fail because of a plugin
    commands, lines, summary = manifest.get("cli"), manifest.get("cli_help"), manifest.get("summary", "")
    if not isinstance(commands, dict):
        return {}
    return {name: str(lines.get(name, summary) if isinstance(lines, dict) else summary) for name in commands}


def _manifest(module: str) -> Path:
    """Where the manifest of a plugin module is, without importing any of its packages."""
    top, *rest = module.split(".")
    spec = PathFinder.find_spec(top)
    if spec is None:
        raise ImportError(module)
    for place in spec.submodule_search_locations or [str(Path(str(spec.origin)).parent)]:
        folder = Path(place).joinpath(*rest[:-1])
        if (folder / "manifest.toml").is_file():
            return folder / "manifest.toml"
    raise ImportError(module)


def __getattr__(name: str) -> Any:
    """Cyclopts resolves `hub.cli.contributed:NAME` here: load the plugins, ask the hook, import the app."""
    if name.startswith("_"):
        raise AttributeError(name)
    from importlib import import_module

    module, _, attribute = _path(name).partition(":")
    return getattr(import_module(module), attribute)


def _path(name: str) -> str:
    from hub.plugins import list_manifests, load_plugins
    from hub.settings import load_settings

    settings = load_settings()
    rows = [row for row in list_manifests(settings) if row.works and row.manifest is not None]
    found = next((row.manifest.cli[name] for row in rows if row.manifest and row.manifest.cli.get(name)), None)
    # Loading plugins costs a second; so only a manifest that leaves it open has the hook asked.
    found = found or load_plugins(settings, process="cli").hooks.cli().get(name)
    if found is None:
        raise UnavailableError(
            f"the plugin that brings `hub {name}` is installed but not loaded", hint="`hub plugins ls` says why."
        )
    return found
