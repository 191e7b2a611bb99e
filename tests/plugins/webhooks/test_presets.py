"""The presets as shipped: complete, signed and verified round trip, and found from their headers."""

from __future__ import annotations

import base64

import pytest
from hub.types import SECOND
from hub.webhooks.dedupe import dedupe_keys, protects_from_replay
from hub.webhooks.events import check_content, delivery_id, event_type, provider_events
from hub.webhooks.preset import Preset
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import SecretValue
from hub.webhooks.signing import sample_request, sign
from hub.webhooks.suggest import suggest
from hub.webhooks.verify import verify

from hub_plugins.webhooks.plugin import hub_presets

NOW = 1_795_200_000 * SECOND
PRESETS = Presets.load(hub_presets())
PLAIN, STANDARD = "a secret", "whsec_" + base64.b64encode(b"k" * 32).decode()
EXPECTED = {
    "github",
    "gitlab",
    "stripe",
    "slack",
    "shopify",
    "standard-webhooks",
    "svix",
    "generic-hmac",
    "token",
    "basic",
}
SAMPLES = [(preset, sample.name) for preset in PRESETS for sample in preset.samples]
GENERIC = [
    {"signed": "{timestamp}.{body}"},
    {"signed": "{timestamp}:{body}", "timestamp_unit": "ms"},
    {"signed": "{timestamp}{body}", "timestamp_unit": "rfc3339", "encoding": "base64"},
    {"signed": "{id}.{timestamp}.{body}", "encoding": "base64url", "hash": "sha512"},
    {"prefix": "sha1=", "hash": "sha1", "header": "X-Hub-Signature"},
    {"secret_encoding": "hex", "hash": "sha384"},
]


def _secret(preset: Preset, options: dict[str, str] | None = None) -> str:
    if preset.id == "basic":
        return "mona:lisa"
    if (options or {}).get("secret_encoding") == "hex":
        return "00ff" * 16
    scheme = preset.rules(options).verify.kind
    return STANDARD if scheme == "standard-webhooks" else PLAIN


def _signed(preset: Preset, sample: str, options: dict[str, str] | None = None) -> WebhookRequest:
    request = sample_request(preset, sample, "https://hub.example/in/x")
    return sign(preset, _secret(preset, options), request, now=NOW, delivery_id="d-1", options=options)


def test_the_promised_presets_are_there_and_well_documented() -> None:
    assert {preset.id for preset in PRESETS} >= EXPECTED
    for preset in PRESETS:
        assert preset.samples
        assert len(preset.where) > 40
        assert preset.docs.startswith("https://")


@pytest.mark.parametrize(("preset", "sample"), SAMPLES, ids=[f"{p.id}-{s}" for p, s in SAMPLES])
def test_a_signed_sample_verifies_and_reads(preset: Preset, sample: str) -> None:
    request = _signed(preset, sample)
    verdict = verify(preset, request, [SecretValue("s", _secret(preset))], now=NOW + 5 * SECOND)
    assert verdict.valid, verdict.reason
    check_content(preset, request)
    (event,) = provider_events(preset, request)
    assert event.type == event_type(preset, request) != "event"
    assert dedupe_keys(preset, request, verdict) or delivery_id(preset, request) is None


@pytest.mark.parametrize(("preset", "sample"), SAMPLES, ids=[f"{p.id}-{s}" for p, s in SAMPLES])
def test_another_secret_does_not_verify_a_sample(preset: Preset, sample: str) -> None:
    other = "whsec_" + base64.b64encode(b"x" * 32).decode() if _secret(preset) == STANDARD else "mona:x"
    assert not verify(preset, _signed(preset, sample), [SecretValue("s", other)], now=NOW).valid


@pytest.mark.parametrize("options", GENERIC, ids=str)
def test_generic_hmac_signs_and_verifies_with_each_option(options: dict[str, str]) -> None:
    preset = PRESETS.get("generic-hmac")
    request = _signed(preset, "example", options)
    secret = [SecretValue("s", _secret(preset, options))]
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
    guarded = {preset.id for preset in PRESETS if protects_from_replay(preset)}
    assert guarded == {"gitlab", "slack", "stripe", "standard-webhooks", "svix"}
    assert protects_from_replay(PRESETS.get("generic-hmac"), {"signed": "{timestamp}.{body}"})
    assert protects_from_replay(PRESETS.get("github"), {"unique_body": "yes"})


@pytest.mark.parametrize("name", sorted(EXPECTED - {"generic-hmac", "token", "basic"}))
def test_a_preset_is_suggested_from_the_headers_of_its_own_requests(name: str) -> None:
    preset = PRESETS.get(name)
    hints = suggest(PRESETS, _signed(preset, preset.samples[0].name))
    assert hints[0].preset == name


def test_nothing_is_suggested_for_a_request_without_telling_headers() -> None:
    assert suggest(PRESETS, WebhookRequest("POST", "", (("Content-Type", "application/json"),), b"{}")) == []
