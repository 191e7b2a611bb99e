"""What of a request is kept beside its body: headers from an allow-list, secrets blotted out, the sender's address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from hub.webhooks.events import safe_text

REDACTED = "[redacted]"
MAX_VALUE = 2_000
MAX_QUERY = 8_192
_NAMES = frozenset(
    {
        "accept", "authorization", "cf-ray", "content-encoding", "content-length", "content-type", "cookie", "date",
        "digest", "forwarded", "host", "idempotency-key", "origin", "referer", "request-id", "traceparent",
        "transfer-encoding", "user-agent", "via",
    }
)  # fmt: skip
_PREFIXES = ("x-", "ce-", "aeg-", "webhook-", "svix-")
_SECRET = re.compile(r"auth|token|secret|signature|hmac|passw|cookie|credential|api-?key|access-?key|session|jwt", re.I)


def kept_headers(headers: Iterable[tuple[str, str]], hidden: frozenset[str]) -> list[list[str]]:
    """The headers that a receipt keeps, in order; of those that carry a secret only the name."""
    kept = []
    for name, value in headers:
        fate = _fate(name, hidden)
        if fate is not None:
            kept.append([name[:100], fate or safe_text(value, MAX_VALUE)])
    return kept


def kept_query(query: str, hidden: frozenset[str]) -> str:
    """The query that a receipt keeps, with the values of secrets blotted out."""
    if not query:
        return ""
    return safe_text("&".join(_without_secret(part, hidden) for part in query.split("&")[:200]), MAX_QUERY)


def sender(client: tuple[str, int] | None, forwarded: Iterable[str], proxies: int) -> str:
    """The sender's address: the peer's, or what the outermost of `proxies` trusted proxies saw; "" if unknown."""
    if proxies == 0:
        return client[0] if client else ""
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    try:
        return str(ip_address(hops[-proxies])) if len(hops) >= proxies else ""
    except ValueError:
        return ""


@lru_cache(maxsize=4_096)
def _fate(name: str, hidden: frozenset[str]) -> str | None:
    """None: the header is not kept; a text: what stands in its place; empty: it is kept as it is."""
    if not _is_kept(name.lower(), hidden):
        return None
    return REDACTED if _is_secret(name, hidden) else ""


def _is_kept(name: str, hidden: frozenset[str]) -> bool:
    return name in _NAMES or name in hidden or name.startswith(_PREFIXES) or _SECRET.search(name) is not None


def _is_secret(name: str, hidden: frozenset[str]) -> bool:
    return name.lower() in hidden or _SECRET.search(name) is not None


def _without_secret(part: str, hidden: frozenset[str]) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}={REDACTED}" if equals and _is_secret(name, hidden) else part
