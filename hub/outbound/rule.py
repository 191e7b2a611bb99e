"""Where the hub may send a request to: the one rule for every address that somebody else has chosen.

`Rule.target` reads an address without any look-up; `Rule.check` judges what its name was resolved to. Both raise
Blocked. Whoever connects must connect to a checked address and not resolve again: see `hub.outbound.call`.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from hub.errors import PermanentError

IPAddress: TypeAlias = IPv4Address | IPv6Address
IPNetwork: TypeAlias = IPv4Network | IPv6Network
MAX_URL = 2_048
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^:\[\]]+)(?::([0-9]{1,5}))?\Z")
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_ESCAPED = re.compile(r"[!-~]*\Z")
_NAT64 = IPv6Network("64:ff9b::/96")
_NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # metadata of most clouds, and of containers on ECS
        "168.63.129.16/32",  # Azure
        "100.100.100.200/32",  # Alibaba
        "192.0.0.192/32",  # Oracle
        "255.255.255.255/32",
        "::/128",
        "fd00:ec2::254/128",  # AWS
        "fe80::/10",
    )
)
"""Refused whatever networks are allowed: nobody's webhook, and where credentials of a machine are to be had."""
_NOT_GLOBAL = tuple(ip_network(text) for text in ("192.88.99.0/24", "5f00::/16", "64:ff9b:1::/48"))
"""What Python's `is_global` calls global and is not."""


class Blocked(PermanentError):
    """The rule forbids this address; the message says which part of it and why."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be looked up. `host` is ASCII, without the brackets of an IPv6 address."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query as they are sent."""

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is allowed. `networks` are allowed although they are not global (never those of metadata); `own` are not."""

    schemes: frozenset[str] = frozenset({"https"})
    ports: frozenset[int] = frozenset({80, 443, 8443})
    port_written: bool = True
    """Whether an address may name its port."""
    hosts: re.Pattern[str] | None = None
    """The whole host must match, where only certain ones count."""
    networks: tuple[IPNetwork, ...] = ()
    private: bool = False
    """Whether addresses of `networks`, and they alone, may be called without TLS and on any port."""
    own: frozenset[IPAddress] = frozenset()
    """The hub's own addresses, see `own_addresses`."""
    longest: int = MAX_URL
    """Characters an address may have."""

    def target(self, url: str) -> Target:
        """Read an address. Raises Blocked for everything that two programs could read in two ways."""
        parts = _split(url, self.longest)
        if parts.scheme not in self.schemes:
            raise Blocked(f"the scheme {parts.scheme[:20]!r} is not {' or '.join(sorted(self.schemes))}")
        found = _AUTHORITY.match(parts.netloc)
        if found is None:
            raise Blocked("its host and port cannot be read")
        host = _host(found[1])
        port = int(found[2]) if found[2] else _PORTS[parts.scheme]
        if found[2] and not self.port_written:
            raise Blocked("it must not name a port")
        if port not in self.ports and not (self.private and 0 < port < 65_536):
            raise Blocked(f"port {port} is not one of {', '.join(map(str, sorted(self.ports)))}")
        if self.hosts is not None and not self.hosts.fullmatch(host):
            raise Blocked(f"the host {host[:100]} is not one of those that count")
        query = f"?{parts.query}" if parts.query else ""
        return Target(parts.scheme, host, port, (parts.path or "/") + query)

    def check(self, addresses: Iterable[str], target: Target | None = None) -> tuple[IPAddress, ...]:
        """Judge what a name was resolved to: every one of its addresses must be allowed. Raises Blocked.

        With `private` the `target` must be given: what only `networks` may be called by is not for others.
        """
        found = tuple(_address(text) for text in addresses)
        if not found:
            raise Blocked("its name has no address")
        for address in found:
            if not all(self._allows(one) for one in _reached(address)):
                raise Blocked(f"its address {address} is not one that the hub may call")
            if self.private and not self._is_ordinary(target) and not _within(address, self.networks):
                raise Blocked(
                    "only private networks that are allowed (HUB_OUTBOUND_NETWORKS) may be called without TLS or on "
                    "another port"
                )
        return found

    def _is_ordinary(self, target: Target | None) -> bool:
        return target is not None and target.scheme == "https" and target.port in self.ports

    def _allows(self, address: IPAddress) -> bool:
        if address.is_multicast or address.is_unspecified or _within(address, _NEVER):
            return False
        if _within(address, self.networks):
            return True
        odd = address.is_reserved or _within(address, _NOT_GLOBAL) or address in self.own
        return address.is_global and not odd


def allowing(private: Iterable[str]) -> Rule:
    """The rule for services that users of the hub name: public ones by TLS, these private networks in any way."""
    return Rule(
        schemes=frozenset({"https", "http"}), private=True, networks=networks(private), own=own_addresses()
    )  # fmt: skip


def networks(texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    """Read networks such as `10.1.0.0/16`. Raises ValueError."""
    return tuple(ip_network(text) for text in texts)


def own_addresses() -> frozenset[IPAddress]:
    """The addresses of this machine, as far as it knows them."""
    found = set()
    for family, towards in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as conn:
                conn.connect((towards, 9))  # sends nothing: it only chooses the address it would send from
                found.add(_address(conn.getsockname()[0]))
        except OSError:
            continue
    return frozenset(found)


_PORTS = {"https": 443, "http": 80}


def _split(url: str, longest: int) -> SplitResult:
    if len(url) > longest:
        raise Blocked(f"it is longer than {longest} characters")
    if not url.isprintable() or any(char in url for char in " \\#"):
        raise Blocked("it holds a space, a backslash, a control character or a fragment")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Blocked("it is no address") from None
    if "@" in parts.netloc:
        raise Blocked("it holds a user name")
    if not _ESCAPED.match(parts.path + parts.query):
        raise Blocked("its path must be written in ASCII, with percent escapes")
    return parts


def _host(text: str) -> str:
    """The host in its one spelling."""
    if text.startswith("["):
        return str(_address(text[1:-1]))
    name = text.lower() if text.isascii() else _ascii(text)
    if name.endswith("."):
        raise Blocked("its host ends in a full stop")
    if _NUMBER.match(name.rpartition(".")[2]):
        return _dotted(name)
    if not _NAME.match(name):
        raise Blocked("its host is no name")
    return name


def _ascii(text: str) -> str:
    import idna  # noqa: PLC0415 - large tables, for names that are rare

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise Blocked("its host is no name") from None


def _dotted(name: str) -> str:
    """An IPv4 address must be written as four decimal numbers: 127.1, 0x7f.1 and 2130706433 mean the same to some."""
    try:
        if str(IPv4Address(name)) == name:
            return name
    except ValueError:
        pass
    raise Blocked("its host is a number that is no IPv4 address of four decimal numbers")


def _address(text: str) -> IPAddress:
    try:
        return ip_address(text)
    except ValueError:
        raise Blocked(f"{text[:60]!r} is no IP address") from None


def _reached(address: IPAddress) -> tuple[IPAddress, ...]:
    """The addresses that a packet may end up at: an IPv6 address may have an IPv4 one inside."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    inner = (address.sixtofour, *(address.teredo or ()))
    return (address, *(one for one in inner if one is not None))


def _within(address: IPAddress, nets: Iterable[IPNetwork]) -> bool:
    return any(address.version == net.version and address in net for net in nets)
