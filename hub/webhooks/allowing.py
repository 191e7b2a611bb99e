"""Where requests may come from, and what they are answered: what a source's owner says beside its preset."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from hub.errors import UsageError

Network: TypeAlias = IPv4Network | IPv6Network
MAX_NETWORKS = 200
MAX_NETWORK = 50


def networks(written: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and networks as they are written. Raises UsageError that names the wrong one."""
    if len(written) > MAX_NETWORKS:
        raise UsageError(f"{len(written)} networks are allowed, at most {MAX_NETWORKS} may be")
    return tuple(_network(text) for text in written)


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise UsageError(
            f"{text[:MAX_NETWORK]!r} is no address or network: {str(error)[:100]}",
            hint="Write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32.",
        ) from None


@lru_cache(maxsize=4_096)
def allows(allowed: tuple[Network, ...], address: str) -> bool:
    """Whether an address is in one of the networks. One that is unknown is in none."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in allowed)
