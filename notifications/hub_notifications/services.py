"""What a message to an address must be like, and what else its service can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.channels import ChannelKind, Format
from hub.errors import PermanentError

from hub_notifications import bridge, incidents
from hub_notifications.address import redact
from hub_notifications.limits import limits_of, service_of, unit_of
from hub_notifications.shapes import LONGEST_TITLE, Shape

_WRITTEN: Mapping[str, Format] = {
    "slack": "markdown", "discord": "markdown", "workflow": "markdown", "workflows": "markdown",
    "mmost": "markdown", "mmosts": "markdown",
    "tgram": "html", "matrix": "html", "matrixs": "html", "mailto": "html", "mailtos": "html",
}  # fmt: skip
"""Services that show markup well, and what is written for them; all others get plain text where they take it."""
_LINES = frozenset({"tgram", "matrix", "matrixs", "pover", "pushplus", "wecom"})
"""Services whose HTML is a few elements."""
_NO_FILES = frozenset({"pover", "ntfy", "ntfys"})
"""Services whose files are pictures, or the message itself."""
_SHORT = 1_000
"""Services that take less are text messages or the like."""
_OWN = {"slack+http": (0, 38_000), "slack+https": (0, 38_000), "hub+http": (200, 60_000), "hub+https": (200, 60_000)}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What else a service can do."""

    attachments: bool = False
    incidents: bool = False
    """Keeps one incident an alert: told of acknowledging and resolving, and doubles nothing."""


def shape_of(address: str, kinds: Mapping[str, ChannelKind] | None = None) -> Shape:
    """What a message to this address must be like. Raises PermanentError when the address cannot be used."""
    return service_at(address, kinds)[0]


def service_at(address: str, kinds: Mapping[str, ChannelKind] | None = None) -> tuple[Shape, Abilities]:
    """The same, and what else its service can do."""
    scheme = address.partition("://")[0].lower()
    kind = (kinds or {}).get(scheme)
    if kind is not None:
        return Shape(kind.format, kind.max_title, kind.max_text), Abilities(attachments=kind.attachments)
    if scheme in _OWN:
        return Shape("slack" if scheme.startswith("slack+") else "text", *_OWN[scheme]), Abilities()
    with bridge.quiet():
        plugin = _plugin_of(address)
        return _shape(plugin), Abilities(_takes_files(plugin), scheme in incidents.SERVICES)


def _takes_files(plugin: Any) -> bool:
    service = service_of(plugin)
    if service == "slack":
        return str(getattr(plugin.mode, "value", plugin.mode)) == "bot"  # its webhooks take none
    is_short = limits_of(plugin)[1] < _SHORT
    return bool(plugin.attachment_support) and service not in _NO_FILES and not is_short


def _plugin_of(address: str) -> Any:
    """Apprise's plugin; what it says of a wrong address holds nothing of it."""
    try:
        return bridge.instantiate(address)
    except PermanentError as error:
        raise PermanentError(redact(str(error), address)) from None


def _shape(plugin: Any) -> Shape:
    title, text = limits_of(plugin)
    is_page = service_of(plugin) not in _LINES
    return Shape(_format(plugin), min(max(title, 0), LONGEST_TITLE), text, unit_of(plugin), is_page)


def _format(plugin: Any) -> Format:
    """What the address asks for with `format=`, else what is best for the service."""
    known: list[Format] = [one.value for one in plugin._formats()]
    asked = plugin._format_override.value if plugin._format_override is not None else ""
    if asked in known:
        return next(one for one in known if one == asked)
    best: Format = "text" if "text" in known or plugin.schema in incidents.SERVICES else known[0]
    return _WRITTEN.get(service_of(plugin), best)
