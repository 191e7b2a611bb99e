"""Addresses of channels: checked when they are saved and when they are used, shown only as a label of our own, removed
from every text."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from hub.channels import ChannelKind
from hub.errors import PermanentError, UsageError
from hub.outbound.rule import Blocked

from hub_notifications import own, places
from hub_notifications.reach import Reach

SLACK_COMPATIBLE = ("slack+http", "slack+https")
OWN = (*SLACK_COMPATIBLE, "hub+http", "hub+https")
"""Our own senders, for Slack-compatible incoming webhooks and for signed ones; other schemes are Apprise's."""
LOCAL_ONLY = frozenset(
    {"syslog", "dbus", "gnome", "macosx", "windows", "glib", "gio", "qt", "kde", "blink1", "sys", "apprise", "apprises"}
)
"""Schemes that act on the hub's own machine: always refused."""
_SHORT = 3


def check_address(address: str, kinds: Mapping[str, ChannelKind] | None = None) -> str:
    """The scheme of a usable address of one destination. Raises UsageError, which never repeats the address."""
    if any(ord(letter) < 32 for letter in address):
        raise UsageError("the address holds a control character")
    scheme = scheme_of(address)
    if not scheme:
        raise UsageError(
            "the address is not a URL", hint="For example mailtos://user:password@example.com or slack://A/B/C."
        )
    if scheme in LOCAL_ONLY:
        raise UsageError(f"channels of scheme {scheme}:// would act on the hub's own machine and are refused")
    kind = (kinds or {}).get(scheme)
    if kind is not None:
        _check_with_plugin(kind, address)
    elif scheme in OWN:
        own.check(address)
    else:
        _check_one(_with_apprise(address, scheme), scheme)
    return scheme


def check_allowed(address: str, reach: Reach, kinds: Mapping[str, ChannelKind] | None = None) -> None:
    """Refuse what the level and `alerts_schemes` do not allow. Raises UsageError."""
    scheme = scheme_of(address)
    if reach.schemes and scheme not in reach.schemes:
        raise UsageError(
            f"channels of scheme {scheme}:// are not allowed here",
            hint=f"HUB_ALERTS_SCHEMES allows {', '.join(reach.schemes)}.",
        )
    if reach.level == "open" or scheme in (kinds or {}):
        return
    if scheme in OWN:
        _check_own(address, scheme, reach)
        return
    _check_service(_with_apprise(address, scheme), scheme, arguments_of(address), reach)


def scheme_of(address: str) -> str:
    """The scheme in lower case; empty when it is no URL."""
    return address.partition("://")[0].lower() if "://" in address else ""


def arguments_of(address: str) -> dict[str, str]:
    """The arguments after the question mark, by their names in lower case."""
    return {name.lower(): value for name, value in parse_qsl(address.partition("?")[2], keep_blank_values=True)}


def make_label(address: str, name: str) -> str:
    """How people see the channel: its scheme and name, nothing of the address."""
    return f"{scheme_of(address)} ({name})"


def redact(text: str, address: str) -> str:
    """`text` without any part of the address, in any of the spellings that services and libraries give it."""
    known = {spelling for piece in _pieces(address) for spelling in _spellings(piece)}
    for piece in sorted((one for one in known if len(one) > _SHORT), key=len, reverse=True):
        text = re.sub(re.escape(piece), "***", text, flags=re.IGNORECASE)
    return text


def _pieces(address: str) -> Iterator[str]:
    """The parts that a secret may be; not the scheme, nor names of arguments."""
    rest = address.partition("://")[2]
    yield rest
    main, _, query = rest.partition("?")
    yield from (main, query)
    yield from re.split(r"[/@:#]", main)
    netloc = main.partition("/")[0]
    yield from (netloc, *netloc.rpartition("@")[::2], main.partition("/")[2])
    for name, value in parse_qsl(query, keep_blank_values=True):
        yield from (value, *re.split(r"[/@:,\s]", value))
        if name[:1] in "+-: ":
            yield name.lstrip("+-: ")
    user, _, password = netloc.rpartition("@")[0].partition(":")
    for pair in (f"{unquote(user)}:{unquote(password)}", f"{user}:{password}"):
        yield base64.b64encode(pair.encode()).decode()


def _spellings(piece: str) -> Iterator[str]:
    plain = unquote(piece)
    yield from (piece, plain, quote(plain, safe=""), quote(plain), plain.strip("#@+ "), piece.strip("#@+ "))
    yield base64.b64encode(plain.encode()).decode().rstrip("=")


def _check_with_plugin(kind: ChannelKind, address: str) -> None:
    try:
        if kind.check is not None:
            kind.check(address)
    except UsageError as error:
        raise UsageError(redact(error.detail, address)) from None
    except Exception as error:  # noqa: BLE001 - a plugin's fault stays its own; its text may hold the address
        raise UsageError(f"the plugin of {kind.scheme}:// cannot check the address: {type(error).__name__}") from None


def _with_apprise(address: str, scheme: str) -> Any:
    from hub_notifications import bridge  # noqa: PLC0415 - Apprise is loaded only where a channel is saved or used

    try:
        with bridge.quiet():
            return bridge.instantiate(address)
    except PermanentError as error:
        said = redact(str(error), address)
    raise UsageError(f"{scheme}://: {said}", hint=f"`hub channels schemes {scheme}` shows the forms of its addresses.")


def _check_one(plugin: Any, scheme: str) -> None:
    """One destination a channel: of several, one that fails would hide behind the others, or be told twice."""
    from hub_notifications import incidents  # noqa: PLC0415 - as above

    count = len(plugin)
    if count > 1 and scheme not in incidents.SERVICES:
        raise UsageError(
            f"the {scheme}:// address leads to {count} destinations, and a channel has one",
            hint="Add a channel for each, with the same address and one target; a route may name several channels.",
        )


def _check_own(address: str, scheme: str, reach: Reach) -> None:
    if reach.level == "fixed" and not scheme.endswith("https"):
        raise UsageError(f"channels of scheme {scheme}:// are not allowed here", hint="Use https.")
    try:
        reach.web.rule.target(own.url_of(address))
    except Blocked as error:
        raise UsageError(f"the {scheme}:// address is not allowed here: {redact(str(error), address)}") from None


def _check_service(plugin: Any, scheme: str, arguments: Mapping[str, str], reach: Reach) -> None:
    from hub_notifications import bridge  # noqa: PLC0415 - as above

    files = places.named_files(scheme, arguments)
    if files:
        raise UsageError(f"arguments that name files of the hub's machine are not allowed here: {', '.join(files)}")
    if reach.level == "fixed":
        if not places.is_at_home(plugin):
            allowed = ", ".join(places.fixed_schemes())
            raise UsageError(
                f"this {scheme}:// address does not lead to a service whose hosts are known",
                hint=f"HUB_ALERTS_REACH=fixed allows {allowed}, each at its own hosts.",
            )
        if not plugin.verify_certificate:
            raise UsageError("verify=no is not allowed here: the certificate of a service is always checked")
    elif not bridge.speaks_by_wire(plugin) and scheme not in reach.schemes:
        raise UsageError(
            f"channels of scheme {scheme}:// can reach any host of this network, so they must be allowed by name",
            hint=f"HUB_ALERTS_SCHEMES={scheme},... allows them; HUB_ALERTS_REACH=open does too.",
        )
