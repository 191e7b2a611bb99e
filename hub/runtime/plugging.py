"""The plugins of a process with what the database says of them: which are switched off, how each is configured."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from typing import Any

from hub.errors import HubError, NotFoundError, UnavailableError
from hub.pluginconfig import Resolved, Stored, resolve
from hub.plugins import LoadedPlugin, Plugins, ProcessKind, config_model, list_manifests, load_plugins
from hub.settings import Settings, load_settings
from hub.store import plugin_settings
from hub.store.base import Store, Tx

log = logging.getLogger("hub.plugins")


def load(settings: Settings, *, process: ProcessKind, store: Store | None) -> Plugins:
    """Load the plugins of a process. Without a database nothing is switched off and nothing set; that is told."""
    stored: Mapping[str, Stored] = {}
    if store is not None:
        try:
            with store.read() as tx:
                stored = read(tx)
        except HubError as error:
            log.warning("what is set for plugins cannot be read: %s", error.detail)
    return load_plugins(settings, process=process, store=store, stored=stored)


def read(tx: Tx) -> dict[str, Stored]:
    """What is set for each plugin."""
    return {row["plugin"]: opened(tx, row) for row in plugin_settings.listing(tx)}


def opened(tx: Tx, row: Mapping[str, Any]) -> Stored:
    """A row with its secrets open; one whose key is not here says so."""
    try:
        secrets, problem = plugin_settings.secrets_of(tx, row), ""
    except UnavailableError as error:
        secrets, problem = {}, error.detail
    return Stored(bool(row["enabled"]), {**row["fields"], **secrets}, row["version"], row["reset_at"], problem)


def installed(name: str) -> LoadedPlugin:
    """What is known of an installed plugin without importing it. Raises NotFoundError."""
    found = list_manifests(load_settings(), name=name[:100])
    if not found:
        raise NotFoundError(f"there is no plugin {name!r}", hint="`hub plugins ls` lists them.")
    return found[0]


def resolved(row: LoadedPlugin, stored: Mapping[str, Any]) -> Resolved:
    """The configuration of a plugin as it would be here. Raises ValueError when its model cannot be had."""
    return resolve(row.name, config_model(row), stored, os.environ)


def prepare(name: str) -> None:
    """Import the model of a plugin's configuration, which must not happen within a transaction. Raises NotFoundError.

    What is wrong with it is told where it is used.
    """
    row = installed(name)
    if row.manifest is not None and row.manifest.config:
        with contextlib.suppress(ValueError):
            config_model(row)
