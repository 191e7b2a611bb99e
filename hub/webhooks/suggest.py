"""Which preset may fit: read from the headers of a request that no preset has verified yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hub.webhooks.preset import Preset
from hub.webhooks.request import WebhookRequest


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A preset and the headers that speak for it."""

    preset: str
    headers: tuple[str, ...]


def suggest(presets: Iterable[Preset], request: WebhookRequest) -> list[Suggestion]:
    """Return the presets whose headers are all there, the most telling first: a hint, never a decision."""
    found = [hint for preset in presets if (hint := _best(preset, request)) is not None]
    return sorted(found, key=lambda hint: (-len(hint.headers), hint.preset))


def _best(preset: Preset, request: WebhookRequest) -> Suggestion | None:
    sets = [names for names in preset.detect if all(request.all(name) for name in names)]
    return Suggestion(preset.id, max(sets, key=len)) if sets else None
