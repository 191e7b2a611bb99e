"""Small presets and requests that the tests of this folder share."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import yaml
from hub.types import SECOND
from hub.webhooks.preset import Preset, load_preset
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.secrets import SecretValue

NOW = 1_700_000_000 * SECOND
SECRET = SecretValue("s1", "top secret")


def make(**parts: Any) -> Preset:
    """A preset from keyword parts; what is left out is as short as it can be."""
    document: dict[str, Any] = {
        "id": "example",
        "name": "Example",
        "summary": "An example.",
        "docs": "https://example.com/docs",
        "where": "Nowhere.",
        "verify": {"kind": "hmac", "signature": {"from": "header:X-Sig", "prefix": "sha256="}, "signed": "{body}"},
        "event": {"type": "json:type", "id": "json:id"},
    }
    return load_preset(yaml.safe_dump({**document, **parts}), "example.yaml")


def timed(**more: Any) -> Preset:
    """A preset in Stripe's manner: time and signatures in one header."""
    timestamp = {"from": "header:X-Sig", "separator": ",", "prefix": "t=", **more}
    signature = {"from": "header:X-Sig", "separator": ",", "prefix": "v1="}
    return make(verify={"kind": "hmac", "signature": signature, "timestamp": timestamp, "signed": "{timestamp}.{body}"})


def post(body: bytes | str = b"{}", headers: Any = (), *, url: str = "", method: str = "POST") -> WebhookRequest:
    raw = body.encode() if isinstance(body, str) else body
    return WebhookRequest(method, url, header_pairs(headers), raw)


def mac(signed: bytes, secret: str = SECRET.value, hash_name: str = "sha256") -> str:
    return hmac.new(secret.encode(), signed, getattr(hashlib, hash_name)).hexdigest()


def signed_post(body: bytes = b'{"type":"a","id":"1"}', **headers: str) -> WebhookRequest:
    return post(body, {"X-Sig": "sha256=" + mac(body), **headers})
