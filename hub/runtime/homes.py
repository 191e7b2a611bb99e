"""Which settings and which store calls of flows in this process use, opened on the first call."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from hub.settings import Settings, load_settings
from hub.store import open_ready
from hub.store.base import Store
from hub.types import Actor, Micros, Scope

LOCAL = Scope(actor=Actor("local"))


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a run's log; `name` is that of the task run that wrote it, else of the flow run."""

    at: Micros
    level: int
    logger: str
    name: str
    message: str


Listener: TypeAlias = Callable[[LogLine], object]


@dataclass(frozen=True, slots=True)
class Home:
    """What calls of flows in this process use: settings, and the store unless the journal is off."""

    settings: Settings
    store: Store | None
    listener: Listener | None = None
    """Hears the lines of the runs' logs as they are written."""


_homes: dict[tuple[Any, ...], Home] = {}
_opening = threading.Lock()


def home() -> Home:
    """The settings and the store of this process, opened and brought up to date on the first call.

    Raises SettingError, or UnavailableError when the store cannot be written.
    """
    key = _here()
    found = _homes.get(key)
    if found is None:
        with _opening:
            found = _homes.get(key) or _open()
            _homes[key] = found
    return found


def use(made: Home) -> None:
    """Have calls in this process, as its environment is now, use that store instead of one they open themselves."""
    with _opening:
        _homes[_here()] = made


def _here() -> tuple[Any, ...]:
    # A forked child must not use its parent's connections; tests and programs may change the environment.
    return (os.getpid(), *sorted(item for item in os.environ.items() if item[0].startswith("HUB_")))


def _open() -> Home:
    settings = load_settings()
    if settings.journal == "off":
        return Home(settings, None)
    return Home(settings, open_ready(settings))


def forget(folder: Path | None = None) -> None:
    """Close the stores that calls in this process have opened (of the home in `folder`); the next call opens anew."""
    with _opening:
        for key, known in list(_homes.items()):
            if folder is None or known.settings.home == folder:
                del _homes[key]
                if known.store is not None:
                    known.store.close()
