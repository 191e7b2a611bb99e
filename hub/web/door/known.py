"""Sources as the door knows them: read from the store, kept in memory, and never trusted beyond their version."""

from __future__ import annotations

import hmac
import logging
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hub.errors import HubError
from hub.store import Store, sources
from hub.types import Id, Micros, Scope, now_us
from hub.webhooks.preset import Preset, load_preset
from hub.webhooks.presets import Presets
from hub.webhooks.rules import Rules
from hub.webhooks.scheme import BasicScheme, NoScheme, PluginScheme, Signed, StandardScheme, TokenScheme
from hub.webhooks.secrets import SecretValue

log = logging.getLogger("hub.door")
_KEPT = 1_000
_KNOWN_FOR_US = 60_000_000
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}\Z")


@dataclass(frozen=True, slots=True)
class Known:
    """A source, opened: its preset, options and secrets. `version` is the row's `updated_at`."""

    id: Id
    name: str
    scope: Scope
    version: Micros
    preset: Preset
    rules: Rules
    secrets: tuple[SecretValue, ...] = field(repr=False)
    verify_none: bool
    observe: bool
    max_body: int
    rate_per_minute: int
    methods: frozenset[str]
    loaded_at: Micros
    until: Micros | None = None
    """Until when the token opens it: an old one ends."""
    hidden: frozenset[str] = frozenset()
    """Names of headers and query parameters that carry a secret or a signature, in lower case."""
    plugged: bool = False
    """A plugin verifies it, which may take its time."""


class Sources:
    """Finds sources by token. Not for threads beside its own: `load` may run in one, the rest in the event loop."""

    def __init__(self, store: Store, presets: Presets) -> None:
        self._store = store
        self._presets = presets
        self._kept: OrderedDict[bytes, Known] = OrderedDict()
        self._key = os.urandom(32)

    def cached(self, token: str) -> Known | None:
        """What is known of a token; the receipt's transaction finds out whether it still holds."""
        digest = self._digest(token)
        found = self._kept.get(digest)
        now = now_us()
        if found is None or now - found.loaded_at > _KNOWN_FOR_US or (found.until is not None and now >= found.until):
            return None
        return found

    def load(self, token: str) -> Known | None:
        """Read a source from the store; None for every token that opens nothing. Raises UnavailableError."""
        digest = self._digest(token)
        found = self._open(token)
        if found is None:
            self._kept.pop(digest, None)
            return None
        self._kept[digest] = found
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found

    def _digest(self, token: str) -> bytes:
        # The cache does not hold tokens, and looking one up takes the same time for every token.
        return hmac.new(self._key, token.encode("utf-8", "surrogatepass"), "sha256").digest()

    def _open(self, token: str) -> Known | None:
        with self._store.read() as tx:
            row = sources.by_token(tx, token) if TOKEN.match(token) else None
            opened = sources.open_secrets(tx, row["id"]) if row is not None else ()
            digests = tx.keyring.digests(token, purpose=sources.PURPOSE)
        if row is None:
            return None
        until = None if row["token_digest"] in digests else row["old_token_until"]
        preset = self._presets.find(row["preset"])
        secrets = tuple(SecretValue(secret.id, secret.value, secret.expires_at) for secret in opened)
        if preset is None:
            log.error("source %s has the preset %s, which no plugin brings", row["name"], row["preset"])
            return None
        if not secrets and not row["verify_none"]:
            return None  # fail closed: no secret, no endpoint
        return _known(row, preset, secrets, until)


def _known(
    row: Mapping[str, Any], preset: Preset, secrets: tuple[SecretValue, ...], until: Micros | None
) -> Known | None:
    options = dict(row["options"])
    try:
        rules = preset.rules(options)
    except HubError as error:
        log.error("source %s does not fit its preset any more: %s", row["name"], error.detail)
        return None
    shakes = {step.when.method for step in rules.handshake if step.when.method}
    return Known(
        id=row["id"],
        name=row["name"],
        scope=Scope(row["workspace_id"]),
        version=row["updated_at"],
        preset=preset,
        rules=rules,
        secrets=secrets,
        verify_none=row["verify_none"],
        observe=row["mode"] == "observe",
        max_body=row["max_body"],
        rate_per_minute=row["rate_per_minute"],
        methods=frozenset(preset.methods) | shakes,
        loaded_at=now_us(),
        until=until,
        hidden=hidden_names(rules),
        plugged=isinstance(rules.verify, PluginScheme),
    )


def hidden_names(rules: Rules) -> frozenset[str]:
    """Which header and query names carry what must not be kept: signatures, tokens, passwords."""
    scheme, names = rules.verify, {str(step.token.name) for step in rules.handshake if step.token}
    if isinstance(scheme, Signed):
        names.add(scheme.signature.source.name)
    elif isinstance(scheme, TokenScheme):
        names.add(scheme.token.source.name)
    elif isinstance(scheme, StandardScheme):
        names.add(f"{scheme.prefix}-signature")
    elif isinstance(scheme, BasicScheme):
        names.add("authorization")
    else:
        assert isinstance(scheme, NoScheme | PluginScheme)
    return frozenset(name.lower() for name in names)


@cache
def stranger() -> Known:
    """Does for an unknown, disabled or deleted source the work that a real one would do."""
    text = (
        "{id: nobody, name: Nobody, summary: Stands in for sources that are not there., docs: 'https://localhost',"
        " where: Nowhere., verify: {kind: hmac, signature: {from: 'header:X-Signature'}, signed: '{body}'}}"
    )
    preset = load_preset(text, "the door")
    return Known(
        id="00000000-0000-7000-8000-000000000000",
        name="",
        scope=Scope(),
        version=0,
        preset=preset,
        rules=preset.rules(),
        secrets=(SecretValue("nobody", os.urandom(32).hex()),),
        verify_none=False,
        observe=False,
        max_body=1_048_576,
        rate_per_minute=60_000,
        methods=frozenset(),
        loaded_at=0,
    )
