"""The presets as shipped: complete, signed and verified round trip, and found from their headers."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hub.store.sources import OpenSecret
from hub.types import SECOND
from hub.web.door.known import opened
from hub.webhooks.dedupe import dedupe_keys, protects_from_replay
from hub.webhooks.events import check_content, delivery_id, event_type, provider_events
from hub.webhooks.keeping import REDACTED, is_kept, kept_headers
from hub.webhooks.preset import Preset
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest
from hub.webhooks.samples import example
from hub.webhooks.secrets import SecretValue
from hub.webhooks.signing import sample_request, sign
from hub.webhooks.suggest import suggest
from hub.webhooks.verify import verify

from hub_plugins.webhooks.plugin import hub_presets
from hub_plugins.webhooks.verifying import VERIFIERS

NOW = 1_795_200_000 * SECOND
PRESETS = Presets.load(hub_presets())
ED25519, ECDSA = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())
PLAIN, STANDARD = "a secret", "whsec_" + base64.b64encode(b"k" * 32).decode()
OPTIONS = {"meta": {"verify_token": "example"}}
"""Options without a default."""
UNGUARDED = {
    "alertmanager",
    "atlassian-connect",
    "auth0",
    "azure-event-grid",
    "basic",
    "bitbucket-cloud",
    "bitbucket-server",
    "cloudevents",
    "datadog",
    "docker-hub",
    "dropbox",
    "generic-hmac",
    "gitea",
    "github",
    "gogs",
    "google-pubsub",
    "jira",
    "jwt",
    "microsoft-graph",
    "mtls",
    "okta",
    "postmark",
    "razorpay",
    "sentry",
    "shopify",
    "token",
}
"""Presets that sign neither an id nor a time."""
ANY_EVENT = {"svix", "standard-webhooks", "generic-hmac", "token", "basic", "convoy", "cloudevents"}
"""Schemes that many senders share: each has event types of its own."""
BY_CODE = {name for name in (preset.id for preset in PRESETS) if name in VERIFIERS}
"""Tested in test_tokens.py, test_connect.py, test_certificates.py, test_adyen.py and test_mtls.py."""
SAMPLES = [(preset, sample.name) for preset in PRESETS if preset.id not in BY_CODE for sample in preset.samples]
GENERIC = [
    {"signed": "{timestamp}.{body}"},
    {"signed": "{timestamp}:{body}", "timestamp_unit": "ms"},
    {"signed": "{timestamp}{body}", "timestamp_unit": "rfc3339", "encoding": "base64"},
    {"signed": "{id}.{timestamp}.{body}", "encoding": "base64url", "hash": "sha512"},
    {"prefix": "sha1=", "hash": "sha1", "header": "X-Hub-Signature"},
    {"secret_encoding": "hex", "hash": "sha384"},
]


def _options(preset: Preset) -> dict[str, str]:
    return OPTIONS.get(preset.id, {name: one.example for name, one in preset.options.items() if one.default is None})


def _keys(preset: Preset, options: dict[str, str]) -> tuple[str, str]:
    """What signs, and what the source holds to verify it."""
    match preset.rules(options).verify.kind:
        case "basic":
            return "mona:lisa", "mona:lisa"
        case "standard-webhooks":
            return STANDARD, STANDARD
        case "ed25519":
            return ED25519.private_bytes_raw().hex(), ED25519.public_key().public_bytes_raw().hex()
        case "ecdsa":
            return _base64(ECDSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())), _base64(
                ECDSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            )
    hexed = options.get("secret_encoding") == "hex"
    return ("00ff" * 16,) * 2 if hexed else (PLAIN, PLAIN)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _signed(preset: Preset, sample: str, options: dict[str, str] | None = None) -> WebhookRequest:
    chosen = _options(preset) if options is None else options
    request = sample_request(preset, sample, "https://hub.example/in/x")
    return sign(preset, _keys(preset, chosen)[0], request, now=NOW, delivery_id="d-1", options=chosen)


def test_every_preset_is_well_documented() -> None:
    for preset in PRESETS:
        assert preset.samples, preset.id
        assert len(preset.where) > 40, preset.id
        assert preset.docs.startswith("https://")
        assert preset.events or preset.id in {
            "svix",
            "standard-webhooks",
            "generic-hmac",
            "token",
            "basic",
            "convoy",
            "cloudevents",
        }


@pytest.mark.parametrize(("preset", "sample"), SAMPLES, ids=[f"{p.id}-{s}" for p, s in SAMPLES])
def test_a_signed_sample_verifies_and_reads(preset: Preset, sample: str) -> None:
    options, request = _options(preset), _signed(preset, sample)
    secret = SecretValue("s", _keys(preset, options)[1])
    verdict = verify(preset, request, [secret], now=NOW + 5 * SECOND, options=options)
    assert verdict.valid, verdict.reason
    check_content(preset, request)
    events = provider_events(preset, request, options)
    assert events[0].type == event_type(preset, request, options)
    assert "event" not in {event.type for event in events}
    assert dedupe_keys(preset, request, verdict, options) or delivery_id(preset, request, options) is None


@pytest.mark.parametrize(("preset", "sample"), SAMPLES, ids=[f"{p.id}-{s}" for p, s in SAMPLES])
def test_another_secret_does_not_verify_a_sample(preset: Preset, sample: str) -> None:
    held = _keys(preset, _options(preset))[1]
    other = "whsec_" + base64.b64encode(b"x" * 32).decode() if held == STANDARD else "mona:x"
    request = _signed(preset, sample)
    assert not verify(preset, request, [SecretValue("s", other)], now=NOW, options=_options(preset)).valid


@pytest.mark.parametrize("options", GENERIC, ids=str)
def test_generic_hmac_signs_and_verifies_with_each_option(options: dict[str, str]) -> None:
    preset = PRESETS.get("generic-hmac")
    request = _signed(preset, "example", options)
    secret = [SecretValue("s", _keys(preset, options)[1])]
    verdict = verify(preset, request, secret, now=NOW, options=options)
    assert verdict.valid, verdict.reason
    assert verdict.timestamp_checked is ("timestamp" in options.get("signed", ""))
    late = verify(preset, request, secret, now=NOW + 301 * SECOND, options=options)
    assert late.valid is not verdict.timestamp_checked


@pytest.mark.parametrize("sample", ["push", "pipeline"])
def test_gitlab_with_a_secret_token(sample: str) -> None:
    preset, options = PRESETS.get("gitlab"), {"scheme": "token"}
    request = sign(preset, PLAIN, sample_request(preset, sample, ""), now=NOW, options=options)
    assert verify(preset, request, [SecretValue("s", PLAIN)], now=NOW, options=options).valid


def test_gitlab_never_falls_back_from_a_signing_token_to_a_plain_one() -> None:
    preset = PRESETS.get("gitlab")
    request = sign(preset, STANDARD, sample_request(preset, "push", ""), now=NOW, options={"scheme": "token"})
    assert not verify(preset, request, [SecretValue("s", STANDARD)], now=NOW).valid


def test_only_schemes_that_sign_an_id_or_a_time_protect_from_replay() -> None:
    assert {preset.id for preset in PRESETS if not protects_from_replay(preset, _options(preset))} == UNGUARDED
    assert protects_from_replay(PRESETS.get("generic-hmac"), {"signed": "{timestamp}.{body}"})
    assert protects_from_replay(PRESETS.get("github"), {"unique_body": "yes"})


@pytest.mark.parametrize("name", [preset.id for preset in PRESETS if preset.detect and preset.id != "okta"])
def test_a_preset_is_suggested_from_the_headers_of_its_own_requests(name: str) -> None:
    preset = PRESETS.get(name)
    sample = preset.samples[0].name
    request = sample_request(preset, sample, "") if name in BY_CODE else _signed(preset, sample)
    bare = [(header, "x") for header in preset.detect[0] if name in BY_CODE and request.first(header) is None]
    request = WebhookRequest(request.method, request.url, (*request.headers, *bare), request.body)
    hints = suggest(PRESETS, request)
    assert hints[0].preset == name


@pytest.mark.parametrize("name", [preset.id for preset in PRESETS if preset.detect])
def test_the_door_keeps_what_a_preset_is_suggested_from_and_no_more_than_its_name(name: str) -> None:
    row = {
        "id": "s", "workspace_id": "w", "name": "s", "preset": "token", "options": {}, "updated_at": 0,
        "mode": "enforce", "verify_none": False, "max_body": 1, "rate_per_minute": 1, "paused_at": None, "redact": [],
        "allow_from": [], "answer": None, "confirmed_at": None, "handshake": "open",
    }  # fmt: skip
    known = opened(row, PRESETS, [OpenSecret("k", PLAIN)], texts={})
    assert known is not None
    headers = tuple((header, "precious") for header in PRESETS.get(name).detect[0])
    kept = [(header, value) for header, value in json.loads(kept_headers(headers, known.hidden, known.named))]
    assert {hint.preset for hint in suggest(PRESETS, WebhookRequest("POST", "", tuple(kept), b""))} >= {name}
    bare = {header for header, value in kept if value != REDACTED}
    assert all(is_kept(header.lower()) for header in bare)


def test_okta_is_suggested_from_its_challenge() -> None:
    challenge = WebhookRequest("GET", "", (("X-Okta-Verification-Challenge", "abc"),), b"")
    assert [hint.preset for hint in suggest(PRESETS, challenge)] == ["okta"]


def test_nothing_is_suggested_for_a_request_without_telling_headers() -> None:
    assert suggest(PRESETS, WebhookRequest("POST", "", (("Content-Type", "application/json"),), b"{}")) == []


@pytest.mark.parametrize("preset", list(PRESETS), ids=lambda p: p.id)
def test_two_made_up_deliveries_of_a_sample_are_two(preset: Preset) -> None:
    options = _options(preset)
    requests = [
        example(preset, None, url="https://hub.example/in/x", options=options, delivery=ident) for ident in ("a1", "b2")
    ]
    items = [{event.id for event in provider_events(preset, one, options) if event.id} for one in requests]
    assert not items[0] & items[1]
    named = [delivery_id(preset, one, options) for one in requests]
    assert named[0] != named[1] or named[0] is None
