"""Delivers the presets that lie beside this file."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from hub.hookspecs import hookimpl
from hub.plugins import PresetText


@hookimpl
def hub_presets() -> Iterator[PresetText]:
    """Give every YAML file of `presets/`, in the order of their names."""
    folder = files(__package__) / "presets"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            yield PresetText(f"hub_plugins.webhooks/presets/{entry.name}", entry.read_text("utf-8"))
