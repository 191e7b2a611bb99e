"""Where services live, and which arguments of addresses name files of this machine. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hub.errors import PermanentError

from hub_notifications.reach import Reach

_HOSTS: Mapping[str, str] = {
    "slack": r"(hooks\.|files\.)?slack\.com",
    "discord": r"discord\.com",
    "tgram": r"api\.telegram\.org",
    "pagerduty": r"events(\.eu)?\.pagerduty\.com",
    "opsgenie": r"api(\.eu)?\.opsgenie\.com",
    "pover": r"api\.pushover\.net",
    "twilio": r"api\.twilio\.com",
    "sendgrid": r"api\.sendgrid\.com",
    "mailgun": r"api(\.eu)?\.mailgun\.net",
    "resend": r"api\.resend\.com",
    "ntfy": r"ntfy\.sh",
    "ntfys": r"ntfy\.sh",
    "gchat": r"chat\.googleapis\.com",
    "workflow": r"[a-z0-9.-]+\.(logic\.azure\.com|api\.powerplatform\.com)",
    "workflows": r"[a-z0-9.-]+\.(logic\.azure\.com|api\.powerplatform\.com)",
    "hub+https": r".+",
    "slack+https": r".+",
}
"""Services of the level `fixed`, and their hosts. The last two go to any public host, under the hub's own rule."""
_IN_ADDRESS = frozenset({"workflow", "workflows"})
"""Of these, the ones whose host the address says."""
_FILES: Mapping[str, frozenset[str]] = {
    "template": frozenset({"slack", "discord", "guilded", "workflow", "workflows", "tgram"}),
    "keyfile": frozenset({"fcm", "vapid"}),
    "subfile": frozenset({"vapid"}),
    "pgppub": frozenset({"mailto", "mailtos", "deltachat", "deltachats"}),
    "pgpprv": frozenset({"mailto", "mailtos", "deltachat", "deltachats"}),
}
"""Arguments that name a file of this machine, which would be read and sent."""


def narrowed(reach: Reach, scheme: str) -> Reach:
    """The reach for one service: on the level `fixed`, its own hosts only. Raises PermanentError."""
    if reach.level != "fixed":
        return reach
    hosts = hosts_of(scheme)
    if hosts is None:
        raise PermanentError(f"channels of scheme {scheme}:// are not allowed here")
    return replace(reach, web=replace(reach.web, rule=replace(reach.web.rule, hosts=hosts)))


def hosts_of(scheme: str) -> re.Pattern[str] | None:
    """The hosts of a service of the level `fixed`; None: it is none."""
    found = _HOSTS.get(scheme)
    return None if found is None else re.compile(found)


def fixed_schemes() -> tuple[str, ...]:
    """The services of the level `fixed`."""
    return tuple(sorted(_HOSTS))


def is_at_home(plugin: Any) -> bool:
    """Whether an address of a fixed service leads to that service, not to a host of its own choosing."""
    pattern = hosts_of(plugin.schema)
    if pattern is None:
        return False
    if plugin.schema in _IN_ADDRESS:
        return pattern.fullmatch(str(plugin.host or "").lower()) is not None
    return getattr(plugin, "mode", None) != "private" if plugin.schema.startswith("ntfy") else True


def named_files(scheme: str, arguments: Mapping[str, str]) -> list[str]:
    """Arguments of an address that name a file of this machine."""
    return sorted(name for name in arguments if scheme in _FILES.get(name.lower(), ()))
