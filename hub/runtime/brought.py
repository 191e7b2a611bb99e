"""Which plugin brings what, remembered: what needs a plugin that is gone says which one, and works again with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from sqlalchemy import select

from hub.errors import HubError
from hub.plugins import list_manifests
from hub.runtime import contributed, presets
from hub.settings import load_settings
from hub.store import plugin_settings
from hub.store.base import Store, Tx
from hub.store.tables import SiteValue

Sort: TypeAlias = Literal["connection", "consumer", "result store", "serializer", "channel", "preset"]
_VALUES = SiteValue.__table__
_NAME = "plugins-brought"
_WORDS = {"connection": "connection kind", "channel": "scheme"}


def remember(store: Store) -> None:
    """Write down what the plugins of this process bring, unless that is known; what others brought stays."""
    here = {**contributed.installed().origins, **presets.origins()}
    with store.read() as tx:
        known = _known(tx)
    if here.items() <= known.items():
        return
    with store.write(durable=False) as tx:
        tx.upsert(_VALUES, {"name": _NAME, "value": {**_known(tx), **here}}, keys=["name"])


def plugin_of(tx: Tx, sort: Sort, name: str) -> str:
    """The plugin that brought something of that name; empty when none ever did."""
    return _known(tx).get(f"{sort}:{name}", "")


def needs(tx: Tx, sort: Sort, name: str) -> str:
    """Of something that no plugin brings here: which plugin is needed, and what is with it. A part of a sentence."""
    plugin = plugin_of(tx, sort, name)
    if not plugin:
        return f"needs a plugin that brings the {_WORDS.get(sort, sort)} {name}"
    row = plugin_settings.find(tx, plugin)
    if row is not None and not row["enabled"]:
        return f"needs the plugin {plugin}, which is switched off: `hub plugins enable {plugin}`"
    try:
        installed = bool(list_manifests(load_settings(), name=plugin))
    except HubError:
        installed = True
    if not installed:
        return f"needs the plugin {plugin}, which is not installed"
    return f"needs the plugin {plugin}, which does not bring it now: `hub plugins show {plugin}`"


def _known(tx: Tx) -> Mapping[str, str]:
    found: Mapping[str, str] | None = tx.conn.execute(select(_VALUES.c.value).where(_VALUES.c.name == _NAME)).scalar()
    return found or {}
