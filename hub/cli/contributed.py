"""Commands of plugins. Their names and summaries are read from manifests; nothing is imported until one is used.

A manifest (`manifest.toml` beside the plugin's module) names them: `[commands]` with `channels = "Where alerts go."`.
The hook `hub_cli` then says where each command's app is.
"""

from __future__ import annotations

import tomllib
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from hub.errors import UnavailableError


def summaries() -> dict[str, str]:
    """The commands that installed plugins announce, with their first line of help."""
    found: dict[str, str] = {}
    for entry in entry_points(group="hub.plugins"):
        for name, summary in _announced(entry).items():
            found.setdefault(name, summary)
    return found


def _announced(entry: EntryPoint) -> dict[str, str]:
    try:
        commands = tomllib.loads(_manifest(entry.module).read_text(encoding="utf-8")).get("commands", {})
    except (OSError, ValueError, ImportError):
        return {}  # `hub plugins ls` says what is wrong with it; help must not fail because of a plugin
    return {str(name): str(summary) for name, summary in commands.items()} if isinstance(commands, dict) else {}


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
    from hub.plugins import Context, load_plugins
    from hub.settings import load_settings

    settings = load_settings()
    hooks = load_plugins(settings, process="cli").hooks
    for given in hooks.cli(Context(process="cli", settings=settings, hooks=hooks)):
        if name in given:
            return str(given[name])
    raise UnavailableError(
        f"the plugin that brings `hub {name}` is installed but not loaded", hint="`hub plugins ls` says why."
    )
