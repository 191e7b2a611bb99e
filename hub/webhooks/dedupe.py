"""Dedupe keys: what makes a second request the same as the first.

The provider's id is often in a header that no signature covers, so a replayer can change it. Therefore the
signed bytes count as well wherever they hold an id or a time, or where the preset or the owner says that
every body is unique.
"""

from __future__ import annotations

import json
from hashlib import sha256

from hub.types import Json
from hub.webhooks.events import delivery_id
from hub.webhooks.preset import Options, Preset
from hub.webhooks.reference import Ref, scalar_text
from hub.webhooks.request import WebhookRequest
from hub.webhooks.rules import Rules
from hub.webhooks.verify import Verdict


def dedupe_keys(
    preset: Preset, request: WebhookRequest, verdict: Verdict, options: Options = None, *, ident: str | None = None
) -> tuple[str, ...]:
    """Return the keys of a verified request: any of them seen in the window is a duplicate. May be empty.

    `ident` is its `delivery_id`, by whoever has read it already.
    """
    rules = preset.rules(options)
    keys = [_key(rule, preset, rules, request, verdict, ident) for rule in rules.dedupe.keys]
    return tuple(dict.fromkeys([key for key in keys if key is not None]))


def protects_from_replay(preset: Preset, options: Options = None) -> bool:
    """Whether a captured request cannot be sent again under another id; the source's page says if it can."""
    rules = preset.rules(options)
    return "signed-digest" in rules.dedupe.keys and rules.signed_once


def key_of_id(ident: str) -> str:
    """The key of a delivery id."""
    return join_key("id", (ident,))


def join_key(kind: str, parts: tuple[str, ...]) -> str:
    """Join parts to one short key so that ("ab", "c") and ("a", "bc") differ."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return f"{kind}:{sha256(joined.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _key(
    rule: str | tuple[Ref, ...],
    preset: Preset,
    rules: Rules,
    request: WebhookRequest,
    verdict: Verdict,
    ident: str | None,
) -> str | None:
    if rule == "delivery-id":
        ident = ident or delivery_id(preset, request, rules)
        return key_of_id(ident) if ident else None
    if rule == "signed-digest":
        return _digest_key(rules, request, verdict)
    parts = [_part(ref.read(request)) for ref in rule if isinstance(ref, Ref)]
    return join_key("fields", tuple(part or "" for part in parts)) if any(parts) else None


def _part(value: Json) -> str | None:
    """A scalar as text, a list or an object as JSON with sorted keys."""
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else scalar_text(value)


def _digest_key(rules: Rules, request: WebhookRequest, verdict: Verdict) -> str | None:
    if not rules.signed_once:
        return None
    if verdict.signed is not None:
        return f"signed:{verdict.signed_digest}"
    # A token proves the sender, not the bytes; the promise of unique bodies still holds.
    return f"body:{sha256(request.body).hexdigest()}" if rules.dedupe.unique_body else None
