"""The webhook presets of this process, as its plugins give them; read once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from importlib.metadata import entry_points

from hub.errors import UsageError
from hub.plugins import PresetText
from hub.webhooks.preset import Preset, load_preset
from hub.webhooks.presets import Presets

log = logging.getLogger("hub.presets")
_lock = threading.Lock()
_installed: Presets | None = None


def installed() -> Presets:
    """All presets. One that is wrong is left out and named in the log; the others work."""
    global _installed
    with _lock:
        if _installed is None:
            _installed = gather(_texts())
        return _installed


def install(presets: Presets) -> None:
    """Use these presets in this process (tests, and processes that have loaded their plugins)."""
    global _installed
    with _lock:
        _installed = presets


def gather(texts: Iterable[PresetText]) -> Presets:
    """Read what can be read; the first of two presets with one id counts."""
    found: dict[str, Preset] = {}
    for text in texts:
        try:
            preset = load_preset(text.text, text.origin)
        except UsageError as error:
            log.error("%s", error.detail)
            continue
        if preset.id in found:
            log.error("preset %s of %s is left out: the id is taken", preset.id, text.origin)
        found.setdefault(preset.id, preset)
    return Presets(found.values())


def _texts() -> Iterable[PresetText]:
    for entry in sorted(entry_points(group="hub.plugins"), key=lambda entry: entry.name):
        try:
            give = getattr(entry.load(), "hub_presets", None)
            yield from give() if give is not None else ()
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and must not take the others with it
            log.error("plugin %s could not give its presets: %s: %s", entry.name, type(error).__name__, error)
