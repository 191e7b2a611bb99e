"""Delivers the presets that lie beside this file, and verifies those that need code."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from hub.hookspecs import hookimpl
from hub.plugins import Context, Loop, PresetText

if TYPE_CHECKING:
    from hub_plugins.webhooks.verifying import Verifiers

_lock = threading.Lock()
_verifiers: list[tuple[Context, Verifiers]] = []


@hookimpl
def hub_presets() -> Iterator[PresetText]:
    """Give every YAML file of `presets/`, in the order of their names."""
    folder = files(__package__) / "presets"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            yield PresetText(f"hub_plugins.webhooks/presets/{entry.name}", entry.read_text("utf-8"))


@hookimpl
def hub_webhook_verify(ctx: Context, source: Mapping[str, Any], request: Any, secrets: Any) -> Any:
    """Verify a request of a preset of ours whose verification is code."""
    name, settings, now = source["verifier"], source["settings"], source["now"]
    return _of(ctx).judge(name, request, secrets, settings, now)


@hookimpl
def hub_webhook_sign(source: Mapping[str, Any], request: Any, secret: Any) -> Any:
    """Sign a request of a preset of ours whose verification is code."""
    from hub_plugins.webhooks.signing import sign  # noqa: PLC0415 - hardly any process signs

    return sign(source["verifier"], request, secret, source["settings"], source["now"], source["delivery_id"])


@hookimpl
def hub_loops(ctx: Context) -> Iterable[Loop]:
    """The loop that confirms subscriptions of SNS topics."""
    from hub_plugins.webhooks.confirming import INTERVAL_S, Confirmer  # noqa: PLC0415 - only upkeep confirms
    from hub_plugins.webhooks.verifying import caller_of  # noqa: PLC0415

    return [Loop("sns subscriptions", Confirmer(ctx.store, caller_of(ctx.settings)).step, interval=INTERVAL_S)]


def _of(ctx: Context) -> Verifiers:
    """The verifiers of a process: they remember keys, so they are made once."""
    from hub_plugins.webhooks.verifying import Verifiers  # noqa: PLC0415 - not every process verifies

    with _lock:
        if not _verifiers or _verifiers[0][0] is not ctx:
            _verifiers[:] = [(ctx, Verifiers.of(ctx.settings))]
        return _verifiers[0][1]
