"""Every preset without published vectors, against a second implementation of what its provider signs."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hub.types import SECOND
from hub.webhooks.preset import Preset
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.scheme import Signed, StandardScheme, tolerance_of
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import Verdict, verify

from hub_plugins.webhooks.plugin import hub_presets

from . import second
from .second import NOW, SIGNERS, Sent, Signer

PRESETS = Presets.load(hub_presets())
HERE = Path(__file__).parent
PUBLISHED = {vector["preset"] for vector in json.loads((HERE / "vectors.json").read_text("utf-8"))["vectors"]}
OLDER = {"gitlab", "generic-hmac", "token", "basic"}
"""Tested in test_presets.py: their schemes are those of Standard Webhooks or nothing but options."""
CASES = pytest.mark.parametrize(
    ("name", "options", "signer"),
    SIGNERS,
    ids=[f"{name}-{index}" for index, (name, _, _) in enumerate(SIGNERS)],
)


def _sent(preset: Preset, signer: Signer) -> Sent:
    sample = preset.samples[0]
    headers = {"Content-Type": "application/json", **sample.headers}
    return signer(Sent(sample.body.encode(), method=sample.method, headers=headers))


def _judge(preset: Preset, sent: Sent, options: dict[str, str], *, secret: str = "", now: int = NOW) -> Verdict:
    request = WebhookRequest(sent.method, sent.url, header_pairs(sent.headers), sent.body)
    secrets = [SecretValue("old", "an older secret"), SecretValue("one", secret or sent.secret)]
    return verify(preset, request, secrets, now=now * SECOND, options=options)


def _with_body(sent: Sent, body: bytes) -> Sent:
    return Sent(body, sent.url, sent.method, sent.headers, sent.secret, sent.now)


@CASES
def test_what_the_second_implementation_signs_is_valid(name: str, options: dict[str, str], signer: Signer) -> None:
    preset = PRESETS.get(name)
    verdict = _judge(preset, _sent(preset, signer), options)
    assert verdict.valid, verdict.reason
    assert verdict.secret_id == "one"


@CASES
def test_a_tampered_body_is_refused_where_it_is_signed(name: str, options: dict[str, str], signer: Signer) -> None:
    preset = PRESETS.get(name)
    sent = _sent(preset, signer)
    body_signed = isinstance(preset.rules(options).verify, Signed | StandardScheme)
    for body in (sent.body + b" ", sent.body.replace(b"1", b"2", 1)):
        assert body != sent.body
        assert _judge(preset, _with_body(sent, body), options).valid is not body_signed


@CASES
def test_another_secret_or_none_at_all_is_refused(name: str, options: dict[str, str], signer: Signer) -> None:
    preset = PRESETS.get(name)
    sent = _sent(preset, signer)
    other = second.STANDARD[:-4] + "AAA=" if sent.secret == second.STANDARD else "mona:other"
    assert not _judge(preset, sent, options, secret=other).valid
    bare = Sent(preset.samples[0].body.encode(), headers={"Content-Type": "application/json"}, secret=sent.secret)
    assert not _judge(preset, bare, options).valid


@CASES
def test_an_old_or_early_request_is_refused_where_a_time_is_signed(
    name: str, options: dict[str, str], signer: Signer
) -> None:
    preset = PRESETS.get(name)
    sent, window = _sent(preset, signer), tolerance_of(preset.rules(options).verify)
    for drift in () if window is None else (window + 1, -window - 1):
        assert not _judge(preset, sent, options, now=NOW + drift).valid
        assert _judge(preset, sent, options, now=NOW + drift // 2).valid


def test_every_preset_has_published_vectors_or_a_second_implementation() -> None:
    first_party = {preset.id for preset in PRESETS if not preset.rules(_any(preset)).verify.kind.startswith("plugin:")}
    assert first_party == PUBLISHED | {name for name, _, _ in SIGNERS} | OLDER


def _any(preset: Preset) -> dict[str, str]:
    return {name: option.example for name, option in preset.options.items() if option.default is None}


def test_the_second_implementation_shares_no_code_with_the_first() -> None:
    tree = ast.parse((HERE / "second.py").read_text("utf-8"))
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in names if name.startswith(("hub", "tests"))]


def test_box_wants_its_version_and_algorithm() -> None:
    preset, sent = PRESETS.get("box"), second.box_primary(Sent(b"{}"))
    for header, wrong in (("box-signature-version", "2"), ("box-signature-algorithm", "HmacSHA1")):
        headers = {**sent.headers, header: wrong}
        assert not _judge(preset, Sent(b"{}", headers=headers, secret=sent.secret), {}).valid


def test_one_item_of_graph_without_its_client_state_spoils_the_delivery() -> None:
    preset = PRESETS.get("microsoft-graph")
    items = [{"clientState": second.SECRET}, {"clientState": "another"}]
    assert not _judge(preset, Sent(json.dumps({"value": items}).encode()), {}).valid
    assert _judge(preset, Sent(json.dumps({"value": items[:1] * 2}).encode()), {}).valid


def test_hubspot_refuses_its_old_signatures_unless_they_are_chosen() -> None:
    preset = PRESETS.get("hubspot")
    vectors = json.loads((HERE / "vectors.json").read_text("utf-8"))["vectors"]
    (old,) = [one for one in vectors if one["preset"] == "hubspot" and one["options"]["version"] == "v2"]
    sent = Sent(old["body"].encode(), old["url"], headers=old["headers"], secret="yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy")
    assert _judge(preset, sent, {"version": "v2"}).valid
    assert not _judge(preset, sent, {}).valid
    assert not _judge(preset, sent, {"version": "v1"}).valid
