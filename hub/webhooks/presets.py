"""The presets of this hub by id, as the plugins gave them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from hub.errors import NotFoundError, UsageError
from hub.plugins import PresetText
from hub.webhooks.preset import Preset, load_preset


class Presets:
    """All presets; ids are unique."""

    def __init__(self, presets: Iterable[Preset] = ()) -> None:
        self._by_id: dict[str, Preset] = {}
        for preset in presets:
            if preset.id in self._by_id:
                hint = "disable one of the plugins that bring it"
                raise UsageError(f"two presets are named {preset.id}", hint=hint)
            self._by_id[preset.id] = preset
        self.telling = frozenset(
            name.lower() for preset in self._by_id.values() for names in preset.detect for name in names
        )
        """Headers, in lower case, that tell whose request one may be."""

    @classmethod
    def load(cls, texts: Iterable[PresetText]) -> Presets:
        """Read the presets that plugins gave. Raises UsageError on the first wrong one."""
        return cls(load_preset(preset.text, preset.origin) for preset in texts)

    def get(self, id: str) -> Preset:
        """Return a preset; raises NotFoundError that names the nearest one."""
        if id not in self._by_id:
            close = get_close_matches(id, self._by_id, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(self._by_id))}"
            raise NotFoundError(f"there is no preset {id!r}", hint=hint)
        return self._by_id[id]

    def find(self, id: str) -> Preset | None:
        """Return a preset, or None if its plugin is not there."""
        return self._by_id.get(id)

    def __iter__(self) -> Iterator[Preset]:
        return iter(sorted(self._by_id.values(), key=lambda preset: preset.id))

    def __len__(self) -> int:
        return len(self._by_id)
