"""Sources as the door knows them: read from the store, kept in memory, and never trusted beyond their version."""

from __future__ import annotations

import logging
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import Any

from hub.errors import HubError, UnavailableError
from hub.runtime.drifting import compiled
from hub.runtime.secrets import revealed
from hub.store import Store, event_schemas, sources
from hub.store.base import Tx
from hub.types import Id, Micros, Scope, now_us
from hub.webhooks.allowing import Network, networks
from hub.webhooks.catalog import Schema
from hub.webhooks.keeping import is_kept
from hub.webhooks.preset import Answer, Preset, load_preset
from hub.webhooks.presets import Presets
from hub.webhooks.redaction import NOTHING, Redaction, parse
from hub.webhooks.reference import Joined
from hub.webhooks.rules import Rules
from hub.webhooks.scheme import BasicScheme, NoScheme, PluginScheme, Signed, StandardScheme, TokenScheme, is_keyless
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
    paused: bool = False
    named: frozenset[str] = frozenset()
    """Names of headers in lower case that the preset reads an event's type, id or time from."""
    plugged: bool = False
    """A plugin verifies it, which may take its time."""
    quick: bool = False
    """It is judged in no time: neither by a plugin nor by a schema."""
    allowed: tuple[Network, ...] = ()
    """Where requests may come from; none: from anywhere."""
    answer: Answer | None = None
    """What is answered in place of what the preset says."""
    schemas: Mapping[str, Schema] = field(default_factory=dict, repr=False)
    """By event type, of a source that refuses what violates them."""
    confirmed: bool = False
    """Its provider has seen that it is there."""
    closed: bool = False
    """So that no handshake is answered any more that happens but once."""
    redaction: Redaction = NOTHING
    """What is blotted out before a request is kept."""


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
        return blake2b(token.encode("utf-8", "surrogatepass"), digest_size=32, key=self._key).digest()

    def _open(self, token: str) -> Known | None:
        with self._store.read() as tx:
            row = sources.by_token(tx, token) if TOKEN.match(token) else None
            secrets = sources.open_secrets(tx, row["id"]) if row is not None else ()
            texts = enforced(tx, row) if row is not None else {}
            digests = tx.keyring.digests(token, purpose=sources.PURPOSE)
        if row is None:
            return None
        until = None if row["token_digest"] in digests else row["old_token_until"]
        return opened(row, self._presets, secrets, until, texts=texts)


def enforced(tx: Tx, row: Mapping[str, Any]) -> dict[str, str]:
    """The schemas, as texts by event type, that a source's requests must fit."""
    return event_schemas.texts(tx, row["id"]) if row["schema_mode"] == "enforce" else {}


def opened(
    row: Mapping[str, Any], presets: Presets, secrets: Iterable[sources.OpenSecret], until: Micros | None = None,
    *, texts: Mapping[str, str],
) -> Known | None:  # fmt: skip
    """The source of a row, with the texts of the schemas that it enforces; outside of transactions.

    None for one whose address answers 404 for want of a preset or a secret. Raises UnavailableError while its secret
    is a reference that cannot be resolved: nothing may be judged without it.
    """
    preset = presets.find(row["preset"])
    values = tuple(_revealed(row["name"], tuple(secrets)))
    if preset is None:
        log.error("source %s has the preset %s, which no plugin brings", row["name"], row["preset"])
        return None
    if preset.consumer:
        return None  # its messages come from a broker, never by HTTP
    known = _known(row, preset, values, until, presets.telling, texts)
    if known is None or not (values or known.verify_none or is_keyless(known.rules.verify)):
        return None  # fail closed: no secret, no endpoint
    return known


def _revealed(name: str, secrets: tuple[sources.OpenSecret, ...]) -> Iterator[SecretValue]:
    for secret in secrets:
        try:
            yield SecretValue(secret.id, revealed(secret.value), secret.expires_at)
        except UnavailableError as error:
            log.error("source %s: %s", name, error.detail)
            if secret is secrets[-1]:
                raise
            # An older one, that may be gone where it was kept, must not keep out what the newest one signs.


def _known(
    row: Mapping[str, Any], preset: Preset, secrets: tuple[SecretValue, ...], until: Micros | None,
    telling: frozenset[str], texts: Mapping[str, str],
) -> Known | None:  # fmt: skip
    options = dict(row["options"])
    try:
        rules = preset.rules(options)
        redaction = parse(row["redact"])
        redaction.check(rules)
        schemas = {type_: compiled(text) for type_, text in texts.items()}
        allowed = networks(row["allow_from"])
    except HubError as error:
        log.error("source %s does not fit its preset any more: %s", row["name"], error.detail)
        return None
    named = named_headers(rules)
    # That another provider's header came is worth knowing, what stood in it is not.
    strange = frozenset(name for name in telling - named if not is_kept(name))
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
        hidden=hidden_names(rules) | redaction.headers | strange,
        paused=row["paused_at"] is not None,
        named=named,
        plugged=isinstance(rules.verify, PluginScheme),
        quick=not (isinstance(rules.verify, PluginScheme) or schemas),
        redaction=redaction,
        confirmed=row["confirmed_at"] is not None,
        closed=row["handshake"] == "closed",
        schemas=schemas,
        allowed=allowed,
        answer=None if row["answer"] is None else Answer(**row["answer"]),
    )


def hidden_names(rules: Rules) -> frozenset[str]:
    """Which header and query names carry what must not be kept: signatures, tokens, passwords."""
    scheme, names = rules.verify, {str(step.token.name) for step in rules.handshake if step.token}
    if isinstance(scheme, Signed):
        names.update(ref.name for ref in (scheme.signature.source, *scheme.signature.also))
    elif isinstance(scheme, TokenScheme):
        names.add(scheme.token.source.name)
    elif isinstance(scheme, StandardScheme):
        names.add(f"{scheme.prefix}-signature")
    elif isinstance(scheme, BasicScheme):
        names.add("authorization")
    elif isinstance(scheme, PluginScheme):
        names.update(scheme.hidden)
    else:
        assert isinstance(scheme, NoScheme)
    return frozenset(name.lower() for name in names)


def named_headers(rules: Rules) -> frozenset[str]:
    """Which headers say what happened, and are therefore kept whatever they are called."""
    event = rules.event
    texts = (*event.type, *event.id, *event.time, *event.delivery)
    refs = [ref for text in texts for ref in (text.refs() if isinstance(text, Joined) else (text,))]
    return frozenset(ref.header for ref in refs if ref.header is not None)


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
