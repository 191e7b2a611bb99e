"""What a message to an address must be like, and what else its service can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.channels import ChannelKind, Format

from hub_notifications import bridge, incidents
from hub_notifications.limits import MAX_TITLE, limits_of
from hub_notifications.shapes import LONGEST_TITLE, Shape

_RICH = frozenset(
    {"slack", "discord", "workflow", "workflows", "mmost", "mmosts", "tgram", "mailto", "mailtos", "matrix", "matrixs"}
)
"""Services that show markup well; all others get plain text where they take it."""
_OWN = {"slack+http": 38_000, "slack+https": 38_000, "hub+http": 60_000, "hub+https": 60_000}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What else a service can do."""

    attachments: bool = False
    incidents: bool = False
    """Keeps one incident an alert: told of acknowledging and resolving, and doubles nothing."""


def shape_of(address: str, kinds: Mapping[str, ChannelKind] | None = None) -> Shape:
    """What a message to this address must be like. Raises PermanentError when the address cannot be used."""
    scheme = address.partition("://")[0].lower()
    kind = (kinds or {}).get(scheme)
    if kind is not None:
        return Shape(kind.format, kind.max_title, kind.max_text)
    if scheme in _OWN:
        return Shape("slack" if scheme.startswith("slack+") else "text", MAX_TITLE, _OWN[scheme])
    with bridge.quiet():
        return _shape(bridge.instantiate(address))


def abilities_of(address: str, kinds: Mapping[str, ChannelKind] | None = None) -> Abilities:
    """What else its service can do. Raises PermanentError when the address cannot be used."""
    scheme = address.partition("://")[0].lower()
    kind = (kinds or {}).get(scheme)
    if kind is not None or scheme in _OWN:
        return Abilities(attachments=kind is not None and kind.attachments)
    with bridge.quiet():
        plugin = bridge.instantiate(address)
    return Abilities(bool(plugin.attachment_support), scheme in incidents.SERVICES)


def _shape(plugin: Any) -> Shape:
    title, text = limits_of(plugin)
    return Shape(_format(plugin), min(max(title, 0), LONGEST_TITLE), text)


def _format(plugin: Any) -> Format:
    if plugin.schema in incidents.SERVICES:
        return "text"
    known: list[Format] = [one.value for one in plugin._formats()]
    if len(known) == 1:
        return known[0]
    wanted: Format = plugin.resolve_format().value
    if plugin._format_override is None and plugin.schema not in _RICH and "text" in known:
        return "text"
    return wanted
