"""Published test vectors: every one gets the verdict that its publisher gives it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hub.types import SECOND
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import verify

from hub_plugins.webhooks.plugin import hub_presets

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))["vectors"]
PRESETS = Presets.load(hub_presets())


def _name(vector: dict[str, Any]) -> str:
    return f"{vector['provider']}: {vector['why']}"


@pytest.mark.parametrize("vector", VECTORS, ids=_name)
def test_a_published_vector_gets_its_published_verdict(vector: dict[str, Any]) -> None:
    request = WebhookRequest(
        vector["method"], vector["url"] or "", header_pairs(vector["headers"]), vector["body"].encode()
    )
    secret = SecretValue("one", base64.b64decode(vector["secret_b64"]).decode())
    verdict = verify(
        PRESETS.get(vector["preset"]),
        request,
        [secret],
        now=None if vector["now"] is None else vector["now"] * SECOND,
        tolerance=vector["tolerance"],
        options=vector["options"],
    )
    assert verdict.valid is vector["valid"], verdict.reason
    assert bool(verdict.reason) is not vector["valid"]
    assert verdict.secret_id == ("one" if vector["valid"] else verdict.secret_id)


def test_every_shipped_signature_scheme_has_vectors() -> None:
    covered = {vector["preset"] for vector in VECTORS}
    assert covered >= {"github", "stripe", "slack", "shopify", "standard-webhooks", "svix", "generic-hmac"}
