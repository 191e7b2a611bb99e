"""Addresses of channels: checked when they are saved, shown only as a label of our own, removed from every text."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from hub.errors import UsageError

SLACK_COMPATIBLE = ("slack+http", "slack+https")
"""Our own sender for Slack-compatible incoming webhooks; all other schemes are Apprise's."""
_LOCAL_ONLY = frozenset(
    {"syslog", "dbus", "gnome", "macosx", "windows", "glib", "qt", "kde", "sys", "apprise", "apprises"}
)
_SHORT = 3


def check_address(address: str) -> str:
    """The scheme of a usable address. Raises UsageError, which never repeats the address."""
    if any(ord(letter) < 32 for letter in address):
        raise UsageError("the address holds a control character")
    scheme = scheme_of(address)
    if not scheme:
        raise UsageError(
            "the address is not a URL", hint="For example mailtos://user:password@example.com or slack://A/B/C."
        )
    if scheme in _LOCAL_ONLY:
        raise UsageError(f"channels of scheme {scheme}:// would act on the hub's own machine and are refused")
    if scheme in SLACK_COMPATIBLE:
        if not urlsplit(address).hostname:
            raise UsageError(f"the {scheme}:// address names no host", hint="Write slack+https://host/path.")
        return scheme
    _check_with_apprise(address, scheme)
    return scheme


def check_allowed(address: str, schemes: tuple[str, ...]) -> None:
    """Refuse a scheme that `alerts_schemes` does not name; an empty list allows all. Raises UsageError."""
    scheme = scheme_of(address)
    if schemes and scheme not in schemes:
        raise UsageError(
            f"channels of scheme {scheme}:// are not allowed here",
            hint=f"HUB_ALERTS_SCHEMES allows {', '.join(schemes)}.",
        )


def scheme_of(address: str) -> str:
    """The scheme in lower case; empty when it is no URL."""
    return address.partition("://")[0].lower() if "://" in address else ""


def make_label(address: str, name: str) -> str:
    """How people see the channel: its scheme and name, nothing of the address."""
    return f"{scheme_of(address)} ({name})"


def redact(text: str, address: str) -> str:
    """`text` without any part of the address."""
    parts = urlsplit(address)
    pieces = {address, parts.netloc, parts.path, parts.query, parts.username, parts.password, parts.hostname}
    pieces.update(parts.path.split("/"))
    pieces.update(value for _, value in parse_qsl(parts.query))
    known = {piece for raw in pieces if raw for piece in (raw, unquote(raw)) if len(piece) > _SHORT}
    for piece in sorted(known, key=len, reverse=True):
        text = re.sub(re.escape(piece), "***", text, flags=re.IGNORECASE)
    return text


def _check_with_apprise(address: str, scheme: str) -> None:
    from apprise import Apprise  # noqa: PLC0415 - 0.3 s and 25 MB, only where a channel is saved or used

    from hub_notifications.send import quiet  # noqa: PLC0415 - send imports this module

    try:
        with quiet():
            usable = Apprise.instantiate(address, suppress_exceptions=False)
    except Exception as error:  # noqa: BLE001 - each service's class raises what it likes
        raise UsageError(f"the {scheme}:// address is not complete: {redact(str(error), address)}") from None
    if usable is None:
        raise UsageError(
            f"the {scheme}:// address is not one that can be used",
            hint="The forms are at https://github.com/caronc/apprise/wiki.",
        )
