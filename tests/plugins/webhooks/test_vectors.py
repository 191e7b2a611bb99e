"""Published test vectors: every one gets the verdict that its publisher gives it."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hub.types import SECOND
from hub.web.door.judge import Arrived, judge
from hub.web.door.known import stranger
from hub.webhooks.check import verify_file
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.scheme import Signed
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import Verdict, verify

from hub_plugins.webhooks.plugin import hub_presets

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))["vectors"]
PRESETS = Presets.load(hub_presets())


ADDRESS = "https://hub.example/in/x"


def _name(vector: dict[str, Any]) -> str:
    return f"{vector['provider']}: {vector['why']}"


def _request(vector: dict[str, Any]) -> WebhookRequest:
    headers, url = header_pairs(vector["headers"]), vector["url"] or ADDRESS
    return WebhookRequest(vector["method"], url, headers, vector["body"].encode())


def _secret(vector: dict[str, Any]) -> str:
    return base64.b64decode(vector["secret_b64"]).decode()


def _verdict(vector: dict[str, Any]) -> Verdict:
    return verify(
        PRESETS.get(vector["preset"]),
        _request(vector),
        [SecretValue("one", _secret(vector))],
        now=None if vector["now"] is None else vector["now"] * SECOND,
        tolerance=vector["tolerance"],
        options=vector["options"],
    )


@pytest.mark.parametrize("vector", VECTORS, ids=_name)
def test_a_published_vector_gets_its_published_verdict(vector: dict[str, Any]) -> None:
    verdict = _verdict(vector)
    assert verdict.valid is vector["valid"], verdict.reason
    assert bool(verdict.reason) is not vector["valid"]
    assert verdict.secret_id == ("one" if vector["valid"] else verdict.secret_id)


@pytest.mark.parametrize("vector", VECTORS, ids=_name)
def test_the_command_gives_the_published_verdict(vector: dict[str, Any], tmp_path: Path) -> None:
    stored = tmp_path / "request.json"
    stored.write_text(json.dumps({name: vector[name] for name in ("method", "url", "headers", "body")}), "utf-8")
    answer, status = verify_file(
        vector["preset"],
        _secret(vector),
        stored,
        vector["now"],
        vector["tolerance"],
        vector["options"],
        presets=PRESETS,
    )
    assert (answer["valid"], status) == (vector["valid"], 0 if vector["valid"] else 1), answer["reason"]


@pytest.mark.parametrize("vector", VECTORS, ids=_name)
def test_the_door_gives_the_published_verdict(vector: dict[str, Any]) -> None:
    """At the time of the vector, or where it has none at the time that it signs."""
    preset = PRESETS.get(vector["preset"])
    rules = preset.rules(vector["options"])
    if vector["tolerance"] and isinstance(rules.verify, Signed) and rules.verify.timestamp:
        window = rules.verify.timestamp.model_copy(update={"tolerance": vector["tolerance"]})
        rules = rules.model_copy(update={"verify": rules.verify.model_copy(update={"timestamp": window})})
    secrets = (SecretValue("one", _secret(vector)),)
    source = replace(stranger(), preset=preset, rules=rules, secrets=secrets)
    now = (vector["now"] or 0) * SECOND or _verdict(vector).timestamp or 0
    judged = judge(source, Arrived(_request(vector), "", "192.0.2.1", now), {})
    # Bodies such as "Hello, World!" are verified and then refused as no JSON.
    assert (judged.refusal != 401) is vector["valid"], judged.incoming.row["reason"]
    assert judged.refusal in (0, 400, 401)


def test_all_68_published_vectors_are_here() -> None:
    count = Counter(vector["provider"] for vector in VECTORS)
    assert count == {
        "convoy": 14, "openai": 4, "standard-webhooks": 6, "square": 5, "stripe": 5, "twilio": 5, "sendgrid": 4,
        "gitea": 3, "hubspot": 3, "mailgun": 3, "pagerduty": 3, "slack": 3, "bitbucket-server": 2, "discord": 2,
        "svix": 2, "bitbucket-cloud": 1, "github": 1, "meta": 1, "shopify": 1,
    }  # fmt: skip
    assert all(vector["preset"] == vector["provider"] for vector in VECTORS)
