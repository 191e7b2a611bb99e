"""Finding and loading plugins: entry points of the group `hub.plugins`, each on its own, none can break another.

The loader is filled in by `load_plugins`; the result is a table, not an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from hub.settings import Settings

if TYPE_CHECKING:
    from hub.hooks import Hooks

ProcessKind: TypeAlias = Literal["web", "worker", "upkeep", "cli", "inline"]


@dataclass(frozen=True, slots=True)
class Context:
    """What a hook gets: which process asks, its settings, its store, and the callers of other hooks."""

    process: ProcessKind
    settings: Settings
    store: Any = None
    keyring: Any = None
    hooks: Hooks | None = None


@dataclass(frozen=True, slots=True)
class Loop:
    """One upkeep loop: `step(stop)` does one bounded piece of work and says whether it did any.

    It is called when one of `topics` is woken, after work was done, and every `interval` seconds.
    """

    name: str
    step: Callable[[], bool]
    topics: tuple[str, ...] = ()
    interval: float = 1.0


@dataclass(frozen=True, slots=True)
class Panel:
    """A piece of a dashboard page. `html` must be safe: make it with the context's templates."""

    title: str
    html: str
    order: int = 100


@dataclass(frozen=True, slots=True)
class PresetText:
    """A webhook preset as it was written, and where it came from for error messages."""

    origin: str
    text: str


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A row of `hub plugins ls`. `state` is loaded, failed, disabled or incompatible."""

    name: str
    version: str
    distribution: str
    state: Literal["loaded", "failed", "disabled", "incompatible"]
    problem: str = ""
    import_ms: float = 0.0
    hooks: tuple[str, ...] = ()
    module: Any = field(default=None, repr=False, compare=False)
