"""What is said to whoever reads why a request was refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hub.runtime.presets import installed
from hub.types import SECOND
from hub.webhooks.advice import advice
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import SecretValue
from hub.webhooks.signing import sample_request, sign
from hub.webhooks.verify import verify

NOW = 1_795_200_000 * SECOND
SECRET = "a secret of the tests"


def unsigned(request: WebhookRequest) -> WebhookRequest:
    headers = tuple((name, value) for name, value in request.headers if "signature" not in name.lower())
    return replace(request, headers=headers)


def told(
    preset_id: str, change: Callable[[WebhookRequest], WebhookRequest], *, late: int = 0, key: str = SECRET
) -> str:
    """The advice for a sample that was changed after it was signed."""
    preset = installed().get(preset_id)
    sample = preset.samples[0].name
    request = change(sign(preset, SECRET, sample_request(preset, sample, ""), now=NOW))
    verdict = verify(preset, request, [SecretValue("s", key)] if key else [], now=NOW + late * SECOND)
    assert not verdict.valid
    return advice(verdict.reason)


def same(request: WebhookRequest) -> WebhookRequest:
    return request


@pytest.mark.parametrize("preset", ["github", "stripe", "slack", "token"])
def test_a_wrong_secret_or_a_changed_body_is_named_where_nothing_matches(preset: str) -> None:
    assert "the secret here is not the one at the provider" in told(preset, same, key="another one")


@pytest.mark.parametrize("preset", ["github", "stripe", "slack"])
def test_a_request_that_nobody_signed_is_told_apart(preset: str) -> None:
    assert "The sender did not sign" in told(preset, unsigned)


def test_a_late_request_is_told_to_compare_clocks() -> None:
    for late in (3600, -3600):
        assert "Compare the clocks" in told("stripe", same, late=late)


def test_a_source_without_a_usable_secret_is_told_to_get_one() -> None:
    assert "has no secret that can be used" in told("github", same, key="")


def test_a_body_that_is_not_the_providers_is_no_question_of_secrets() -> None:
    assert "its body is not what this provider sends" in advice("the body must be a JSON object or array", 400)


def test_an_unknown_reason_is_answered_in_general() -> None:
    assert "Nothing vouches for this request" in advice("somebody else's plugin says no")
