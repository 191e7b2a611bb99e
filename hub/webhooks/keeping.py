"""What of a request is kept beside its body: headers from an allow-list, secrets blotted out, the sender's address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import ip_address
from itertools import compress
from json.encoder import encode_basestring_ascii as _quoted

from hub.webhooks.allowing import Network, allows
from hub.webhooks.events import safe_text
from hub.webhooks.redaction import REDACTED, without_values

MAX_VALUE = 2_000
MAX_QUERY = 8_192
MAX_PARAMETERS = 200
MAX_REJECTED_BODY = 65_536
"""Bytes that are kept of a body that was refused."""
_NAMES = frozenset(
    {
        "accept", "authorization", "cf-ray", "content-encoding", "content-length", "content-type", "cookie", "date",
        "digest", "forwarded", "host", "idempotency-key", "origin", "referer", "request-id", "traceparent",
        "transfer-encoding", "user-agent", "via",
    }
)  # fmt: skip
_PREFIXES = ("x-", "ce-", "aeg-", "webhook-", "svix-")
_HIDDEN = _quoted(REDACTED)
_SECRET = re.compile(r"auth|token|secret|signature|hmac|passw|cookie|credential|api-?key|access-?key|session|jwt", re.I)


def kept_headers(
    headers: Sequence[tuple[str, str]], hidden: frozenset[str], named: frozenset[str] = frozenset()
) -> str:
    """The headers that a receipt keeps, in order, as JSON; of those that carry a secret only the name.

    `named` are those that the preset reads type, id and time from.
    """
    if not headers:
        return "[]"
    names, values = zip(*headers, strict=True)
    text, is_shown = _shape(names, hidden, named)
    shown = tuple(compress(values, is_shown))
    joined = "".join(shown)
    if not joined.isprintable() or len(joined) > MAX_VALUE:
        shown = tuple([safe_text(value, MAX_VALUE) for value in shown])
    return text % tuple(map(_quoted, shown))


def kept_query(query: str, hidden: frozenset[str]) -> str:
    """The query that a receipt keeps, with the values of secrets blotted out."""
    if not query:
        return ""
    shown = "&".join(query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS])
    return safe_text(without_values(shown, lambda name: _is_secret(name, hidden)), MAX_QUERY)


def sender(
    client: tuple[str, int] | None, forwarded: Iterable[str], proxies: int, peers: tuple[Network, ...] = ()
) -> str:
    """The sender's address: the peer's, or what the outermost of `proxies` trusted proxies saw; "" if unknown.

    With `peers` only what one of these says is believed: another peer is the sender itself.
    """
    peer = client[0] if client else ""
    if proxies == 0 or (peers and not allows(peers, peer)):
        return peer
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    try:
        return str(ip_address(hops[-proxies])) if len(hops) >= proxies else ""
    except ValueError:
        return ""


def is_kept(name: str) -> bool:
    """Whether receipts keep a header of this name, in lower case, whoever sends it."""
    return _is_kept(name, frozenset())


def is_secret(name: str) -> bool:
    """Whether only the name of such a header or query parameter is kept, whoever sends it."""
    return _SECRET.search(name) is not None


@lru_cache(maxsize=256)
def _shape(names: tuple[str, ...], hidden: frozenset[str], named: frozenset[str]) -> tuple[str, tuple[bool, ...]]:
    """How headers of these names are kept, which a provider sends each time: JSON with a `%s` for each value that is
    shown, and which these are."""
    fates = [_fate(name, hidden, named) for name in names]
    pairs = [f"{beginning}{'%s' if is_shown else _HIDDEN}]" for beginning, is_shown in fates if beginning]
    return f"[{','.join(pairs)}]", tuple([bool(beginning) and is_shown for beginning, is_shown in fates])


@lru_cache(maxsize=4_096)
def _fate(name: str, hidden: frozenset[str], named: frozenset[str]) -> tuple[str, bool]:
    """How a header is kept: the beginning of its JSON pair, and whether its value is shown; empty: not at all."""
    if not _is_kept(name.lower(), hidden) and name.lower() not in named:
        return "", False
    return f"[{_quoted(name[:100])},".replace("%", "%%"), not _is_secret(name, hidden)


def _is_kept(name: str, hidden: frozenset[str]) -> bool:
    return name in _NAMES or name in hidden or name.startswith(_PREFIXES) or _SECRET.search(name) is not None


def _is_secret(name: str, hidden: frozenset[str]) -> bool:
    return name.lower() in hidden or _SECRET.search(name) is not None
