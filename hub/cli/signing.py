"""Secrets as they are typed, and signing what is sent on to a program that verifies: by the hub, or with a secret."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from hub.cli.connection import path
from hub.errors import UsageError
from hub.types import now_us

if TYPE_CHECKING:
    from hub.client import Client
    from hub.webhooks.request import WebhookRequest

Sign: TypeAlias = Callable[["WebhookRequest", str, str], "WebhookRequest"]
"""Signs anew: (request with the address that it goes to, receipt id, delivery id). Raises HubError."""
_ENV = "env:"


def given(secret: str | None) -> str | None:
    """The secret; - reads it from standard input, so that it stands in no process list."""
    return sys.stdin.readline().rstrip("\r\n") if secret == "-" else secret  # noqa: S105 - the sign for standard input


def sign_of(client: Client, source: Mapping[str, Any], by_hub: bool, secret: str | None) -> Sign | None:
    """What signs the requests of a source anew; None: nothing does. Raises UsageError, before anything is sent."""
    if secret is not None and by_hub:
        raise UsageError(
            "--sign signs with the source's secret, --sign-with with one of yours", hint="Say one of them."
        )
    if secret is not None:
        return _with(source, _read(secret))
    return _by_hub(client) if by_hub else None


def _read(text: str) -> str:
    found = os.environ.get(text.removeprefix(_ENV), "") if text.startswith(_ENV) else given(text)
    if not found:
        where = f"the variable {text.removeprefix(_ENV)}" if text.startswith(_ENV) else "what --sign-with was given"
        raise UsageError(f"{where} is empty: there is no secret to sign with")
    return found


def _with(source: Mapping[str, Any], secret: str) -> Sign:
    from hub.runtime.presets import installed, installed_signer
    from hub.webhooks.signing import sample_request, sign

    preset, options, signer = installed().get(source["preset"]), dict(source["options"]), installed_signer()

    def make(request: WebhookRequest, _receipt: str, delivery: str) -> WebhookRequest:
        return sign(preset, secret, request, now=now_us(), delivery_id=delivery or None, options=options, signer=signer)

    for sample in preset.samples[:1]:
        make(sample_request(preset, sample.name, "http://localhost/"), "", "")  # a wrong secret is told at once
    return make


def _by_hub(client: Client) -> Sign:
    from hub.webhooks.request import WebhookRequest, header_pairs

    def make(request: WebhookRequest, receipt: str, _delivery: str) -> WebhookRequest:
        made = client.post(path("receipts", receipt, "sign"), {"url": request.url})
        headers = header_pairs([(name, value) for name, value in made["headers"]])
        return WebhookRequest(made["method"], made["url"], headers, base64.b64decode(made["body_base64"]))

    return make
