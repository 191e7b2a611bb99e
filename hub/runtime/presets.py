"""The webhook presets of this process, as its plugins give them; read once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hub.errors import UsageError
from hub.hooks import Hooks
from hub.plugins import PresetText, load_plugins
from hub.settings import load_settings
from hub.types import Micros
from hub.webhooks.preset import Preset, load_preset
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest
from hub.webhooks.signers import Signer

log = logging.getLogger("hub.presets")
_lock = threading.Lock()
_installed: Presets | None = None
_hooks: Hooks | None = None
_origins: dict[str, str] = {}


def installed() -> Presets:
    """All presets of this process. Loads the plugins where the process has not done so itself."""
    if _installed is None:
        return install(load_plugins(load_settings(), process="cli").hooks)
    return _installed


def installed_signer() -> Signer:
    """What signs for presets of plugins whose verification is code; as `installed` otherwise."""
    installed()

    def ask(
        name: str, request: WebhookRequest, secret: str | None, settings: Mapping[str, str], now: Micros, ident: str
    ) -> Any:
        source = {"verifier": name, "settings": dict(settings), "now": now, "delivery_id": ident}
        return None if _hooks is None else _hooks.webhook_sign(source=source, request=request, secret=secret)

    return ask


def install(hooks: Hooks) -> Presets:
    """Take the presets of the plugins that this process has loaded, unless it has some already."""
    global _installed, _hooks
    with _lock:
        if _installed is not None:
            return _installed
        _origins.clear()
        found = gather(hooks.presets(), lambda id_, text: _origins.update({id_: hooks.giver("hub_presets", text)}))
        _installed, _hooks = (found, hooks) if len(found) else (None, None)
        return found


@contextmanager
def apart() -> Iterator[None]:
    """For the hub of a test, as `hub.runtime.contributed.apart`."""
    global _installed, _hooks
    with _lock:
        before, brought = (_installed, _hooks), dict(_origins)
        _installed = _hooks = None
    try:
        yield
    finally:
        with _lock:
            _installed, _hooks = before
            _origins.clear()
            _origins.update(brought)


def origins() -> dict[str, str]:
    """Which plugin brings each preset of this process, by `preset:id`."""
    return {f"preset:{id_}": plugin for id_, plugin in _origins.items()}


def gather(texts: Iterable[PresetText], note: Callable[[str, PresetText], object] = lambda _id, _text: None) -> Presets:
    """Read what can be read: a wrong preset is left out and named in the log; of two with one id the first counts.

    `note` is told of each that counts.
    """
    found: dict[str, Preset] = {}
    for text in texts:
        if not isinstance(text, PresetText):
            log.error("a plugin gave %.100r, which is no PresetText: left out", text)
            continue
        try:
            preset = load_preset(text.text, text.origin)
        except UsageError as error:
            log.error("%s", error.detail)
            continue
        if preset.id in found:
            log.error("preset %s of %s is left out: the id is taken", preset.id, text.origin)
        else:
            found[preset.id] = preset
            note(preset.id, text)
    return Presets(found.values())
