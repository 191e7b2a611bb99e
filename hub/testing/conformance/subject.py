"""The plugin that is judged: its module, its distribution, its manifest, and what its hooks give."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from hub.channels import ChannelKind
from hub.connections import ConnectionKind
from hub.errors import UsageError
from hub.manifest import Manifest, read_manifest
from hub.pluginconfig import Stored
from hub.plugins import GROUP, Plugins, load_plugins
from hub.secretfields import secrets_of
from hub.settings import Settings, load_settings
from hub.testing import projects
from hub.testing.conformance import examples, probing
from hub.testing.conformance.rules import LEVELS, Broken, Level, NotHere
from hub.webhooks.preset import Preset, load_preset


class Subject:
    """Everything a rule looks at, found out when it is first asked for."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    @property
    def place(self) -> str:
        """The dotted name of the module."""
        return self.module.__name__

    @cached_property
    def points(self) -> list[EntryPoint]:
        """The entry points that lead to it."""
        return [point for point in entry_points(group=GROUP) if point.module == self.place]

    @property
    def point(self) -> EntryPoint:
        """The entry point that leads to it. Raises NotHere."""
        if not self.points:
            raise NotHere("no entry point leads to it, see C02")
        return self.points[0]

    @property
    def distribution(self) -> Distribution:
        """What pip installed. Raises NotHere."""
        if self.point.dist is None:
            raise NotHere("it belongs to no distribution, see C02")
        return self.point.dist

    @cached_property
    def read(self) -> tuple[Manifest | None, str]:
        """Its manifest, or what is wrong with it."""
        try:
            return read_manifest(self.place), ""
        except (ValueError, OSError) as error:
            return None, str(error)

    @property
    def manifest(self) -> Manifest:
        """Its manifest. Raises NotHere where it cannot be read."""
        if self.read[0] is None:
            raise NotHere("its manifest cannot be read, see C02")
        return self.read[0]

    @property
    def exemptions(self) -> Mapping[str, str]:
        """Rules that the manifest says it need not keep, each with a reason."""
        return self.read[0].exemptions if self.read[0] is not None else {}

    @property
    def level(self) -> Level:
        """What the manifest claims. A draft claims nothing, and is measured by the first level."""
        claimed = self.read[0].maturity if self.read[0] is not None else "draft"
        return claimed if claimed in LEVELS else "bronze"

    @cached_property
    def folder(self) -> Path | None:
        """Its project: the nearest folder above the module whose pyproject.toml announces it; None: it is installed."""
        above = Path(str(self.module.__file__)).resolve().parents
        return next((folder for folder in above[:6] if projects.announces(folder, self.place)), None)

    @property
    def readme(self) -> str:
        """The readme of its project, or the one that came with its distribution. Raises NotHere."""
        told = str(self.distribution.metadata.json.get("description", ""))
        path = self.folder / "README.md" if self.folder is not None else None
        return path.read_text(encoding="utf-8", errors="replace") if path is not None and path.is_file() else told

    @cached_property
    def settings(self) -> Settings:
        """Those of a hub that nobody has set up."""
        return load_settings({"home": Path(tempfile.gettempdir()) / "hub-conformance"}, environ={})

    @cached_property
    def loaded(self) -> Plugins:
        """The hub's own loader, with this plugin alone. It has no store: only what declares something is asked."""
        where = self.manifest.runs_in
        found = load_plugins(
            self.settings, process=where[0] if where else "cli", found=[self.point], stored=self.configured()
        )
        if not found.table[0].works:
            raise NotHere(f"it is not loaded ({found.table[0].problem}), see C04")
        return found

    @cached_property
    def config(self) -> type[BaseModel] | None:
        """The model of its configuration. Raises NotHere where the manifest names something else."""
        place = self.manifest.config
        module, _, name = place.partition(":")
        if not place:
            return None
        try:
            model = getattr(importlib.import_module(module), name, None)
        except ImportError:
            model = None
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise NotHere(f"its configuration {place} is no pydantic model, see C02")
        return model

    def configured(self) -> Mapping[str, Stored]:
        """What a hub's database would hold of it, where something must be set before it works."""
        if self.config is None:
            return {}
        values = examples.settings_of(self.config)
        given = json.loads(
            values.model_dump_json(include={n for n, i in self.config.model_fields.items() if i.is_required()})
        )
        return {self.point.name: Stored(fields={**given, **secrets_of(values)})}

    @property
    def models(self) -> list[tuple[str, type[BaseModel]]]:
        """All that people set for it: its configuration and its kinds of connection. Raises NotHere."""
        found = [] if self.config is None else [("its configuration", self.config)]
        if self.has("hub_connection_kinds"):
            found += [(f"connections of the kind {kind.name}", kind.settings) for kind in self.connections]
        if not found:
            raise NotHere("nothing is set for it: it has no configuration and no kind of connection")
        return found

    def has(self, hook: str) -> bool:
        """Whether it takes part in a hook."""
        return hook in self.loaded.table[0].hooks

    def given(self, hook: str) -> list[Any]:
        """What a hook that declares something gives. Raises NotHere where it does not, or fails: that is C04's."""
        if not self.has(hook):
            raise NotHere(f"it has no {hook}")
        ask: Callable[[], Any] = getattr(self.loaded.hooks, hook.removeprefix("hub_"))
        found = ask()
        return list(found.values() if isinstance(found, Mapping) else found)

    def each(self, hook: str, kind: type[Any]) -> list[Any]:
        """What a hook gives that is of the right type."""
        return [item for item in self.given(hook) if isinstance(item, kind)]

    def failures(self, hook: str) -> list[str]:
        """What a hook raised when it was asked."""
        told = self.loaded.hooks.health_of_hooks().get(self.point.name, [])
        return [row["last_error"] for row in told if row["hook"] == hook and row["errors"]]

    @property
    def connections(self) -> list[ConnectionKind]:
        """The kinds of connection it brings. Raises NotHere."""
        return self.each("hub_connection_kinds", ConnectionKind)

    @property
    def channels(self) -> list[ChannelKind]:
        """The kinds of channel it brings. Raises NotHere."""
        return self.each("hub_channel_kinds", ChannelKind)

    @property
    def presets(self) -> list[Preset]:
        """The webhook presets it brings that can be read. Raises NotHere."""
        found = []
        for text in self.given("hub_presets"):
            try:
                found.append(load_preset(text.text, text.origin))
            except (UsageError, AttributeError):
                continue  # C04 says so
        return found

    @cached_property
    def probe(self) -> probing.Facts:
        """What happened when a new process imported it. Raises Broken where that process did not come to its end."""
        facts = probing.look(self.place)
        if facts.failure:
            raise Broken(f"a new process could not import {self.place}: {facts.failure}")
        return facts
