"""Client certificates: only what a trusted proxy says counts, and only what the lists allow."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.keyhost import certificate, pem

from .keyed import Bench

CERT, _KEY = certificate("sender.example")
DER = CERT.public_bytes(Encoding.DER)
PRINT = hashlib.sha256(DER).hexdigest()
COLONS = ":".join(PRINT[at : at + 2] for at in range(0, 64, 2)).upper()
SECRET = "known to the proxy alone"
OK = {
    "X-Hub-Proxy-Secret": SECRET,
    "X-SSL-Client-Verify": "SUCCESS",
    "X-SSL-Client-Fingerprint": PRINT,
    "X-SSL-Client-S-DN": "CN=sender.example",
}
BOTH = {"fingerprints": f"{'00' * 32},{COLONS}", "subjects": "CN=other;CN=sender.example"}


def judge(bench: Bench, headers: dict[str, str], options: dict[str, str], **more: Any) -> Any:
    return bench.judge("mtls", b"{}", headers, options=options, secret=SECRET, **more)


@pytest.mark.parametrize(
    "options",
    [BOTH, {"fingerprints": PRINT}, {"subjects": "CN=sender.example"}],
    ids=["both", "print", "subject"],
)
def test_an_allowed_certificate_is_taken(bench: Bench, options: dict[str, str]) -> None:
    verdict = judge(bench, OK, options)
    assert verdict.valid, verdict.reason
    assert verdict.secret_id == "one"


@pytest.mark.parametrize(
    "changed",
    [
        {"X-SSL-Client-Verify": "NONE"},
        {"X-SSL-Client-Verify": "FAILED:expired"},
        {"X-SSL-Client-Verify": "success"},
        {"X-SSL-Client-Verify": ""},
        {"X-SSL-Client-Fingerprint": "11" * 32},
        {"X-SSL-Client-Fingerprint": hashlib.sha1(DER).hexdigest()},
        {"X-SSL-Client-Fingerprint": ""},
        {"X-SSL-Client-S-DN": "CN=other.example"},
        {"X-SSL-Client-S-DN": "cn=sender.example"},
        {"X-SSL-Client-S-DN": ""},
        {"X-Hub-Proxy-Secret": "guessed"},
        {"X-Hub-Proxy-Secret": ""},
    ],
    ids=range(12),
)
def test_anything_else_is_refused(bench: Bench, changed: dict[str, str]) -> None:
    assert not judge(bench, {**OK, **changed}, BOTH).valid
    assert not judge(bench, {name: value for name, value in OK.items() if name not in changed}, BOTH).valid


def test_without_a_trusted_proxy_nothing_is_believed(bench: Bench) -> None:
    bench.proxies = 0
    assert "HUB_WEB_TRUSTED_PROXIES" in judge(bench, OK, BOTH).reason


@pytest.mark.parametrize("options", [{}, {"fingerprints": ""}, {"subjects": ""}, {"subjects": ";"}], ids=str)
def test_empty_lists_allow_nobody(bench: Bench, options: dict[str, str]) -> None:
    assert not judge(bench, OK, options).valid
    assert not judge(bench, {**OK, "X-SSL-Client-Fingerprint": "", "X-SSL-Client-S-DN": ""}, options).valid


@pytest.mark.parametrize(
    "written", [quote(pem(CERT).decode()), f":{base64.b64encode(DER).decode()}:"], ids=["nginx", "RFC 9440"]
)
def test_the_whole_certificate_speaks_for_itself(bench: Bench, written: str) -> None:
    options = {**BOTH, "certificate_header": "Client-Cert"}
    assert judge(bench, {**OK, "Client-Cert": written}, options).valid
    assert not judge(bench, OK, options).valid, "the other headers do not count then"
    other = base64.b64encode(certificate("sender.example")[0].public_bytes(Encoding.DER)).decode()
    assert not judge(bench, {**OK, "Client-Cert": f":{other}:"}, options).valid
    for broken in ("::", ":AAAA:", ":no base64:", "%2D", "x"):
        assert not judge(bench, {**OK, "Client-Cert": broken}, options).valid


def test_a_header_that_came_twice_is_refused(bench: Bench) -> None:
    from hub.types import SECOND
    from hub.webhooks.request import WebhookRequest
    from hub.webhooks.secrets import SecretValue
    from hub.webhooks.verify import verify

    from .keyed import PRESETS, URL

    pairs = (*OK.items(), ("x-ssl-client-verify", "SUCCESS"))
    request = WebhookRequest("POST", URL, pairs, b"{}")
    secret = [SecretValue("one", SECRET)]
    preset = PRESETS.get("mtls")
    assert not verify(preset, request, secret, now=bench.now * SECOND, options=BOTH, verifiers=bench.verifiers).valid
