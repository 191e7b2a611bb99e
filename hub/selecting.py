"""Which of the plugins that are installed are loaded: what the settings and the database say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from hub.errors import SettingError
from hub.pluginconfig import Stored
from hub.settings import Settings

OWN_DISTRIBUTION = "hubspoke"
SWITCHED_OFF = "switched off by `hub plugins disable`"
Refused: TypeAlias = Callable[[str, str], str]
"""(name, distribution) -> why such a plugin is not to be loaded, or nothing."""


def selection(settings: Settings, stored: Mapping[str, Stored] | None = None) -> Refused:
    """The judge of plugins. Raises SettingError for what HUB_PLUGINS cannot mean."""
    allowed = _named(settings.plugins)
    off = {name for name, one in (stored or {}).items() if not one.enabled}

    def refused(name: str, distribution: str) -> str:
        if settings.safe_mode and distribution != OWN_DISTRIBUTION:
            return "not loaded in safe mode (HUB_SAFE_MODE)"
        if not allowed(name):
            return "switched off by HUB_PLUGINS"
        return SWITCHED_OFF if name in off else ""

    return refused


def _named(text: str) -> Callable[[str], bool]:
    if text == "none":
        return lambda _name: False
    if text.startswith("only:"):
        wanted = {name.strip() for name in text.removeprefix("only:").split(",")}
        return wanted.__contains__
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if any(not part.startswith("-") for part in parts):
        raise SettingError(f"HUB_PLUGINS={text!r} is not understood.", hint="Write none, only:a,b or -c,-d.")
    denied = {part.removeprefix("-") for part in parts}
    return lambda name: name not in denied
