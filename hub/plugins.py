"""Finding and loading plugins: entry points of the group `hub.plugins`, each by itself, none can break another.

What comes out is a table, not an exception: a plugin that is wrong is a row that says why.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal, TypeAlias

import pluggy
from pydantic import BaseModel

from hub import hookspecs, leaks, redacting
from hub.apart import FITS, ApartError, Child, OverTimeError, stand_ins
from hub.errors import HubError, UnavailableError
from hub.hooks import Hooks
from hub.installed import Installed, installed
from hub.manifest import Manifest, read_manifest
from hub.pluginconfig import Stored, references, refers, resolve
from hub.pluginimports import imported, sentence
from hub.references import check_reference
from hub.secretfields import secrets_of
from hub.selecting import OWN_DISTRIBUTION as OWN_DISTRIBUTION
from hub.selecting import SWITCHED_OFF as SWITCHED_OFF
from hub.selecting import Refused, selection
from hub.settings import Settings

log = logging.getLogger("hub.plugins")
GROUP = "hub.plugins"
ProcessKind: TypeAlias = Literal["web", "worker", "upkeep", "cli", "inline"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a hook gets: which process asks, its settings, its store, and the callers of other hooks.

    `config` is the plugin's own, an instance of the model that its manifest names; None where it names none.
    """

    process: ProcessKind
    settings: Settings
    hooks: Hooks = field(repr=False)
    store: Any = field(default=None, repr=False)
    config: Any = field(default=None, repr=False)

    def apart(self) -> Context:
        """The same for a plugin in a process of its own, where there are no `hooks` and no `store`: None."""
        return replace(self, hooks=None, store=None)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Loop:
    """One upkeep loop: `step()` does one bounded piece of work and says whether it did any.

    It is called when one of `topics` is woken, again after work was done (True), and every `interval` seconds; a
    number instead of False says in how many seconds there will be something to do. Between two calls pass at least
    `pace` seconds, so that what comes thick and fast is done in batches; the first call after a rest is not delayed
    but by `linger` seconds: work that nobody waits for keeps out of the way of what woke it.
    """

    name: str
    step: Callable[[], bool | float]
    topics: tuple[str, ...] = ()
    interval: float = 1.0
    pace: float = 0.0
    linger: float = 0.0


@dataclass(frozen=True, slots=True)
class Panel:
    """A piece of a dashboard page. `html` must be safe: make it with autoescaping templates."""

    title: str
    html: str
    order: int = 100


@dataclass(frozen=True, slots=True)
class DocsPage:
    """A page about a plugin in Markdown, for `hub plugins docs`. Its headings begin with ###."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class PresetText:
    """A webhook preset as it was written, and where it came from for error messages."""

    origin: str
    text: str


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A row of `hub plugins ls`. One that is degraded is loaded, and something is wrong with it."""

    name: str
    version: str
    distribution: str
    state: Literal["loaded", "degraded", "failed", "disabled", "incompatible"]
    problem: str = ""
    import_ms: float = 0.0
    hooks: tuple[str, ...] = ()
    manifest: Manifest | None = field(default=None, repr=False)
    clashes: bool = False
    """Another one has its name and its place."""

    @property
    def works(self) -> bool:
        """Whether it is loaded, or would be where it runs."""
        return self.state in ("loaded", "degraded")


@dataclass(slots=True)
class Plugins:
    """The plugins of one process: what was found when it started, the callers of their hooks, and how they stand now.

    `table` is what `found` has become by what was set since: see `settle`.
    """

    found: tuple[LoadedPlugin, ...]
    hooks: Hooks
    context: Context
    table: tuple[LoadedPlugin, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """What references in configurations stood for when they were looked up last."""
    lacks: bool = False
    """Whether a secret of a configuration could not be had: to be settled again."""

    def has(self, name: str) -> bool:
        """Whether a plugin of this name is loaded, and made for processes of this kind."""
        return any(row.name == name and row.works and self._runs(row) for row in self.table)

    def settle(self, stored: Mapping[str, Stored], *, asks: bool = True) -> None:
        """Obey what the database says: which are switched off, and how each is configured.

        One that was not loaded when the process started stays so until it starts again. `asks`: secrets that are kept
        elsewhere are looked up, which may take seconds; else they are what they were.
        """
        if asks:
            self.secrets, self.lacks = {}, False
        settled: dict[int, LoadedPlugin] = {}
        # Those that resolve references come before those that have some.
        for number, row in sorted(enumerate(self.found), key=lambda one: refers(one[1].name, stored, os.environ)):
            settled[number] = self._settled(row, stored.get(row.name, Stored()), asks=asks)
        self.table = tuple(settled[number] for number in range(len(self.found)))
        self.hooks.switch_off(row.name for row in self.table if self._runs(row) and not row.works and not row.clashes)

    def _settled(self, row: LoadedPlugin, stored: Stored, *, asks: bool) -> LoadedPlugin:
        if row.clashes:
            return row
        if row.state == "disabled":
            off = row.problem == SWITCHED_OFF and stored.enabled
            return replace(row, problem="switched on: it is loaded when this process starts again") if off else row
        if not stored.enabled:
            return replace(row, state="disabled", problem=SWITCHED_OFF)
        if not row.works or row.manifest is None or not row.manifest.config or not self._runs(row):
            return row
        try:
            model = config_model(row)
            found = resolve(row.name, model, stored.fields, os.environ)
            elsewhere = {name: self._looked_up(text, asks=asks) for name, text in references(model, found).items()}
            if elsewhere:
                found = resolve(row.name, model, {**stored.fields, **elsewhere}, os.environ)
        except ValueError as error:
            return replace(row, state="failed", problem=str(error))
        except HubError as error:
            self.lacks = True
            return replace(row, state="failed", problem=error.detail)
        if found.config is None or stored.problem:
            return replace(row, state="failed", problem=redacting.redacted(stored.problem or found.problem))
        redacting.register(secrets_of(found.config).values())
        self.hooks.bind_one(row.name, replace(self.context, config=found.config))
        return row

    def _looked_up(self, reference: str, *, asks: bool) -> str:
        if reference not in self.secrets:
            if not asks:
                raise UnavailableError(f"secret unavailable: {reference}", code="secret-unavailable")
            found = self.hooks.secret_resolve(check_reference(reference)).get_secret_value()
            redacting.register([found])
            self.secrets[reference] = found
        return self.secrets[reference]

    def _runs(self, row: LoadedPlugin) -> bool:
        return row.manifest is not None and self.context.process in row.manifest.runs_in


def load_plugins(
    settings: Settings,
    *,
    process: ProcessKind,
    store: Any = None,
    found: Iterable[EntryPoint] | None = None,
    stored: Mapping[str, Stored] | None = None,
) -> Plugins:
    """Load what is installed and allowed. Raises UnavailableError only with `plugins_strict`.

    `stored` is what the database says of plugins; `hub.runtime.plugging.load` reads it first.
    """
    manager = pluggy.PluginManager("hub")
    manager.add_hookspecs(hookspecs)
    refused = selection(settings, stored)
    rows: list[LoadedPlugin] = []
    trusted, apart, taken = set(settings.plugins_trusted), dict[str, Child](), dict[str, str]()
    for one in installed(entry_points(group=GROUP) if found is None else found):
        row = _load(manager, one, process, refused, taken, apart)
        rows.append(row)
        if row.distribution == OWN_DISTRIBUTION:
            trusted.add(row.name)
    hooks = Hooks(manager, frozenset(trusted))
    hooks.keep_apart(apart)
    context = Context(process, settings, hooks, store)
    hooks.bind(context)
    plugins = Plugins(tuple(rows), hooks, context)
    plugins.settle(stored or {})
    broken = [row for row in plugins.table if row.state in ("failed", "incompatible")]
    if broken and settings.plugins_strict:
        raise UnavailableError("; ".join(f"plugin {row.name}: {row.problem}" for row in broken), code="plugin-failed")
    return plugins


def config_model(row: LoadedPlugin) -> type[BaseModel]:
    """The model of a plugin's configuration. Raises ValueError with why there is none."""
    place = row.manifest.config if row.manifest is not None else ""
    if not place:
        raise ValueError(f"the plugin {row.name} has no configuration")
    module, _, name = place.partition(":")
    found, problem = sys.modules.get(module), ""
    if found is None:
        found, problem = imported(module, guarded=row.distribution != OWN_DISTRIBUTION)
    model = getattr(found, name, None)
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise ValueError(f"its configuration {place} is no pydantic model{problem and f' ({problem})'}")
    return model


def preload_own(settings: Settings) -> None:
    """Import the plugins that come with the hub, without using them: for a process that forks others."""
    refused = selection(settings)
    for one in installed(entry_points(group=GROUP)):
        if one.own and not refused(one.point.name, OWN_DISTRIBUTION):
            with contextlib.suppress(Exception):  # it is reported where it is loaded
                one.point.load()


def import_all(settings: Settings) -> list[LoadedPlugin]:
    """The table with every plugin imported, wherever it runs: to see what is wrong with it."""
    manager = pluggy.PluginManager("hub")
    manager.add_hookspecs(hookspecs)
    refused, rows, taken = selection(settings), list[LoadedPlugin](), dict[str, str]()
    for one in installed(entry_points(group=GROUP)):
        apart = dict[str, Child]()
        rows.append(_load(manager, one, None, refused, taken, apart))
        for child in apart.values():
            child.end()
    return rows


def list_manifests(
    settings: Settings, *, name: str = "", stored: Mapping[str, Stored] | None = None
) -> list[LoadedPlugin]:
    """The table, or its rows of one name, without importing anything: those that work would be loaded."""
    refused = selection(settings, stored)
    found = entry_points(group=GROUP, name=name) if name else entry_points(group=GROUP)
    taken: dict[str, str] = {}
    return [_read(one, refused, taken) for one in installed(found)]


def _read(one: Installed, refused: Refused, taken: dict[str, str]) -> LoadedPlugin:
    """Its row as the manifest has it. `taken`: which distribution has which name; its own is added."""
    point = one.point
    row = LoadedPlugin(point.name, one.version, one.distribution, "loaded")
    if point.name in taken:
        told = f"another plugin has this name{_of(taken[point.name])}"
        return replace(row, state="failed", problem=told, clashes=True)
    taken[point.name] = one.distribution
    why = refused(point.name, one.distribution)
    if why:
        row = replace(row, state="disabled", problem=why)
    try:
        row = replace(row, manifest=(manifest := read_manifest(point.module)))
    except ValueError as error:
        return row if why else replace(row, state="failed", problem=str(error))
    except Exception as error:  # noqa: BLE001 - an entry point that is no module name, a file that cannot be read
        unusable = f"its entry point {point.value!r} is unusable: {sentence(error)}"
        return row if why else replace(row, state="failed", problem=unusable)
    if why:
        return row
    if manifest.name != point.name:
        return replace(row, state="failed", problem=f"its manifest calls it {manifest.name!r}")
    if not manifest.fits():
        ours = hookspecs.HOOKSPEC_VERSION
        return replace(
            row, state="incompatible", problem=f"it wants hook specification {manifest.hookspec}, this hub has {ours}"
        )
    return row


def _load(
    manager: pluggy.PluginManager,
    one: Installed,
    process: ProcessKind | None,
    refused: Refused,
    taken: dict[str, str],
    apart: dict[str, Child],
) -> LoadedPlugin:
    row, point = _read(one, refused, taken), one.point
    if row.state != "loaded" or row.manifest is None or (process and process not in row.manifest.runs_in):
        return row
    if row.manifest.isolation == "process":
        return _load_apart(manager, point, row, apart)
    guarded = not one.own
    before = leaks.look() if guarded else None
    started = time.perf_counter()
    module, problem = imported(point.module, guarded=guarded)
    row = replace(row, import_ms=round((time.perf_counter() - started) * 1000, 1))
    if module is None:
        return replace(row, state="failed", problem=problem)
    row = _register(manager, module, row)
    left = leaks.clear_up(before) if before is not None else ""
    return replace(row, state="degraded", problem=f"its import left behind: {left}") if left and row.works else row


def _load_apart(
    manager: pluggy.PluginManager, point: EntryPoint, row: LoadedPlugin, apart: dict[str, Child]
) -> LoadedPlugin:
    """Start its process, and register stand-ins for what it implements there."""
    child, started = Child(point.name, point.module), time.perf_counter()
    try:
        child.start()
    except (ApartError, OverTimeError) as error:
        child.end()
        return replace(row, state="failed", problem=str(error)[:300])
    row = replace(row, import_ms=round((time.perf_counter() - started) * 1000, 1))
    strange = sorted(child.hooks.keys() & vars(hookspecs).keys() - FITS)
    if strange:
        child.end()
        told = f"in a process of its own it cannot have {', '.join(strange)}: what those give lives in the hub's"
        return replace(row, state="failed", problem=told)
    module = ModuleType(point.module)
    for name, stand_in in stand_ins(child):
        setattr(module, name, hookspecs.hookimpl(stand_in))
    row = _register(manager, module, row)
    if row.works:
        apart[point.name] = child
    else:
        child.end()
    return row


def _of(distribution: str) -> str:
    return f", that of {distribution}" if distribution else ""


def _register(manager: pluggy.PluginManager, module: ModuleType, row: LoadedPlugin) -> LoadedPlugin:
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            manager.register(module, name=row.name)
    except Exception as error:  # noqa: BLE001 - whatever a plugin brings ends in its own row
        # Not only its first line: pluggy says what is wrong in the ones below.
        return replace(row, state="failed", problem=f"{type(error).__name__}: {' '.join(str(error).split())}"[:300])
    unknown = sorted(caller.name for caller in manager.get_hookcallers(module) or () if not caller.has_spec())
    if unknown:
        manager.unregister(name=row.name)
        return replace(row, state="failed", problem=f"there is no hook named {', '.join(unknown)}")
    names = tuple(sorted(caller.name for caller in manager.get_hookcallers(module) or ()))
    # An argument that is to go (`warn_on_impl_args`): the plugin works, and its author has time.
    warned = "; ".join(str(one.message) for one in told)[:300]
    if warned:
        log.warning("plugin %s: %s", row.name, warned)
    return replace(row, hooks=names, problem=warned)
