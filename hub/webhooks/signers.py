"""What signs for presets whose verification is code: the counterpart of `hub.webhooks.verify.Verifier`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from hub.types import Micros
from hub.webhooks.request import WebhookRequest


@dataclass(frozen=True, slots=True)
class Signature:
    """A signed request.

    `stand_in`: what stands in for a key that only the provider has (a public key, a certificate, a key set, as its
    verifier reads it). The hub's own door takes it for this one request; nobody else can be pointed at it.
    """

    request: WebhookRequest
    stand_in: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Unsignable:
    """A request that cannot be signed here, and why: the end of a sentence, shown to whoever asked."""

    reason: str
    hint: str = ""


Signer: TypeAlias = Callable[
    [str, WebhookRequest, str | None, Mapping[str, str], Micros, str], Signature | Unsignable | None
]
"""Asks plugins to sign: (verifier, request, secret, settings, now, delivery id); None: nobody does. The secret is None
where a source has none.
"""
