"""What the plugins of this process bring: connections, consumers, result stores, serializers, channels, actions."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from hub.actions import Action
from hub.channels import SCHEME, ChannelKind
from hub.connections import KIND, ConnectionKind
from hub.consumers import ConsumerKind
from hub.resultstores import ResultStoreKind
from hub.serializers import Serializer

if TYPE_CHECKING:
    from hub.hooks import Hooks

log = logging.getLogger("hub.plugins")
T = TypeVar("T")
_lock = threading.Lock()
_installed: Contributed | None = None
_hooks: Hooks | None = None
around_task: Callable[[Mapping[str, Any]], AbstractContextManager[Any]] | None = None
"""What the plugins put around every call of a task (`hub_task_wrap`); None where none does, and tasks pay nothing."""


@dataclass(frozen=True, slots=True)
class Contributed:
    """By name: kinds of connection, consumers, serializers; by the kind of their connection: result stores.

    By scheme: kinds of channel. By `PLUGIN.NAME`: actions. `origins`: which plugin brings each, by `sort:name`.
    """

    connections: Mapping[str, ConnectionKind]
    consumers: Mapping[str, ConsumerKind]
    stores: Mapping[str, ResultStoreKind]
    serializers: Mapping[str, Serializer]
    channels: Mapping[str, ChannelKind]
    actions: Mapping[str, Action]
    origins: Mapping[str, str] = field(default_factory=dict)


def hooks() -> Hooks:
    """The callers of this process. Loads the plugins where the process has not done so itself."""
    if _hooks is None:
        installed()
    assert _hooks is not None
    return _hooks


def installed() -> Contributed:
    """What there is. Loads the plugins where the process has not done so itself."""
    if _installed is not None:
        return _installed
    if _hooks is not None:
        return install(_hooks)
    from hub.runtime import homes, plugging  # noqa: PLC0415 - most runs use no plugin, and must not pay for loading them

    here = homes.home()
    return install(plugging.load(here.settings, process="worker", store=here.store).hooks)


def renew() -> None:
    """Ask the plugins of this process anew: some were switched off, or have another configuration."""
    global _installed
    with _lock:
        _installed = None


@contextmanager
def apart() -> Iterator[None]:
    """For the hub of a test: in the block its plugins alone are known, afterwards those that were known before."""
    global _installed, _hooks, around_task
    with _lock:
        before = _installed, _hooks, around_task
        _installed, _hooks, around_task = None, None, None
    try:
        yield
    finally:
        with _lock:
            _installed, _hooks, around_task = before


def install(given: Hooks) -> Contributed:
    """Take what the plugins that this process has loaded bring, unless it has something already."""
    global _installed, _hooks, around_task
    with _lock:
        if _installed is not None:
            return _installed
        found = Contributed(
            _named(ConnectionKind, given.connection_kinds(), lambda kind: kind.name),
            _named(ConsumerKind, given.consumers(), lambda kind: kind.name),
            _named(ResultStoreKind, given.result_stores(), lambda kind: kind.connection_kind),
            _named(Serializer, given.serializers(), lambda known: known.name),
            _named(ChannelKind, given.channel_kinds(), lambda kind: kind.scheme, form=SCHEME),
            given.actions(),
        )
        found = replace(found, origins=_origins(given, found))
        _installed, _hooks = found if found.connections else None, given
        around_task = given.task_wrap if given.wraps_tasks else None
        return found


def _origins(given: Hooks, found: Contributed) -> dict[str, str]:
    kinds: tuple[tuple[str, str, Mapping[str, object]], ...] = (
        ("connection", "hub_connection_kinds", found.connections),
        ("consumer", "hub_consumers", found.consumers),
        ("result store", "hub_result_stores", found.stores),
        ("serializer", "hub_serializers", found.serializers),
        ("channel", "hub_channel_kinds", found.channels),
    )
    return {f"{sort}:{name}": given.giver(hook, one) for sort, hook, named in kinds for name, one in named.items()}


def _named(
    kind: type[T], given: Iterable[object], name_of: Callable[[T], str], *, form: re.Pattern[str] = KIND
) -> dict[str, T]:
    """What is of that type, by its name; the first one counts, and what is left out is logged."""
    found: dict[str, T] = {}
    for item in given:
        if not isinstance(item, kind) or not form.match(name_of(item)):
            log.warning("a plugin gave %.100r, which is no usable %s: left out", item, kind.__name__)
        elif name_of(item) in found:
            log.warning("a plugin's %s %s is left out: the name is taken", kind.__name__, name_of(item))
        else:
            found[name_of(item)] = item
    return found
