"""`hub trigger` for every preset, data or code: what the hub signs its own door verifies, and nobody else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from hub.errors import UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.commands.signing import signed
from hub.settings import Settings
from hub.store import Store, open_store
from hub.testing import webhook
from hub.types import SECOND, Scope, now_us
from hub.web.app import build_app
from hub.webhooks.preset import Preset
from hub.webhooks.presets import Presets
from hub.webhooks.scheme import BasicScheme, EcdsaScheme, Ed25519Scheme, is_keyless
from starlette.testclient import TestClient

from hub_plugins.webhooks.plugin import hub_presets
from hub_plugins.webhooks.signing import SIGNERS
from hub_plugins.webhooks.verifying import VERIFIERS

from . import second_jose as second
from .keyed import Bench

PRESETS = Presets.load(hub_presets())
TOPIC = "arn:aws:sns:eu-west-1:999999999999:mine"
ORDERS = {"topics": f"{TOPIC},arn:aws:sns:eu-west-1:999999999999:other"}
PUBLIC = {"discord", "sendgrid", "jwt"}
"""Verified by a public key that the source holds."""
FETCHED = {"aws-sns", "google-pubsub", "paypal", "plaid"}
"""Verified by keys that the provider publishes."""
VARIANTS: list[tuple[str, dict[str, str]]] = [
    ("aws-sns", ORDERS | {"signature_version": "2"}),
    ("jwt", {"algorithm": "HS256", "issuer": "me", "audience": "you", "body_claim": "sha256"}),
    ("jwt", {"algorithm": "ES256", "header": "X-Token", "prefix": ""}),
    ("jwt", {"keys": "url", "keys_url": "https://keys.example.com/jwks.json", "issuer": "me"}),
    ("jwt", {"keys": "url", "keys_url": "https://keys.example.com/jwks.json", "algorithm": "ES256"}),
    ("adyen", {"form": "platform"}),
    ("atlassian-connect", {"base_path": "/elsewhere", "client_key": "abc"}),
    ("mtls", {"subjects": "CN=one,O=Acme;CN=two"}),
    ("mtls", {"subjects": "CN=one,O=Acme", "certificate_header": "X-SSL-Client-Cert"}),
    ("standard-webhooks", {}),
]
GIVEN = {
    "aws-sns": ORDERS,
    "google-pubsub": {"audience": "https://hub.example/push", "email": "push@acme.iam.gserviceaccount.com"},
    "meta": {"verify_token": "example"},
    "mtls": {"fingerprints": "AB" * 32},
}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    store = open_store("sqlite://")
    store.migrate()
    app = build_app(Settings(plugins="only:webhooks", web_trusted_proxies=1), store)
    with TestClient(app, base_url="http://localhost") as made:
        made.app_state = {"store": store}
        yield made
    store.close()


def secret_of(preset: Preset, options: dict[str, str]) -> str | None:
    """What a source holds: of those verified by public keys, somebody else's."""
    scheme = preset.rules(options).verify
    if is_keyless(scheme):
        return None
    if isinstance(scheme, Ed25519Scheme):
        return "0f" * 32
    if isinstance(scheme, EcdsaScheme) or (preset.id == "jwt" and options.get("algorithm") != "HS256"):
        return second.der64(second.EC_KEY if options.get("algorithm", "ES256") == "ES256" else second.RSA_KEY)
    if preset.id == "standard-webhooks":
        return "whpk_" + base64.b64encode(b"k" * 32).decode()
    if scheme.kind == "standard-webhooks":
        return "whsec_" + base64.b64encode(b"k" * 32).decode()
    if preset.id == "plaid":
        return "client:secret"
    return "mona:lisa" if isinstance(scheme, BasicScheme) else "00ff" * 16


_number = iter(range(1_000))


def make(client: TestClient, preset: str, options: dict[str, str]) -> Any:
    body = {"name": f"s{next(_number)}", "preset": preset, "options": options}
    answer = client.post("/api/v1/sources", json=body | {"secret": secret_of(PRESETS.get(preset), options)})
    assert answer.status_code == 201, answer.text
    return answer.json()


EVERY = [(preset.id, GIVEN.get(preset.id, {})) for preset in PRESETS if not preset.consumer]


@pytest.mark.parametrize(("name", "options"), EVERY + VARIANTS, ids=str)
def test_every_sample_is_signed_and_comes_in(client: TestClient, name: str, options: dict[str, str]) -> None:
    preset, source = PRESETS.get(name), make(client, name, options)
    for sample in preset.samples:
        answer = client.post(f"/api/v1/sources/{source['name']}/trigger", json={"event": sample.name})
        assert answer.status_code == 200, answer.text
        came = answer.json()
        assert came["status"] < 400, (sample.name, came["reason"])
        assert came["verdict"] in ("accepted", "handshake"), (sample.name, came)
        assert not came["duplicate"]


def test_a_handshake_of_our_own_confirms_nothing(client: TestClient) -> None:
    source = make(client, "slack", {})
    came = client.post(f"/api/v1/sources/{source['name']}/trigger", json={"event": "url_verification"}).json()
    shown = client.get(f"/api/v1/sources/{source['name']}").json()
    assert (came["verdict"], shown["handshake"], shown["confirmed_at"]) == ("handshake", "open", None)


def test_every_verifier_has_a_signer() -> None:
    assert set(SIGNERS) == set(VERIFIERS)


@pytest.mark.parametrize("name", sorted(FETCHED | PUBLIC))
def test_what_stands_in_for_a_key_opens_nothing_but_that_one_request(
    client: TestClient, name: str, bench: Bench
) -> None:
    """Neither the source's address nor the provider's receivers take what the hub has signed in its name."""
    options = GIVEN.get(name, {})
    held, source = secret_of(PRESETS.get(name), options), make(client, name, options)
    store: Store = client.app_state["store"]
    command = Command("source.sign", Scope(), source["name"], {"url": "https://hub.example/in/trigger", "fresh": True})
    made = signed(apply(store, command).result)
    assert made.stand_in
    assert made.stand_in not in repr(made)
    path = "/in/" + source["url"].rpartition("/")[2]
    if name in PUBLIC:
        answer = client.post(path, content=made.request.body, headers=dict(made.request.headers))
        assert answer.status_code == 401
        return
    verdict = bench.judge(
        name, made.request.body, dict(made.request.headers), options=options, secret=held, now=now_us() // SECOND
    )
    assert not verdict.valid
    assert bench.look_ups  # it was the provider that was asked
    with pytest.raises(UsageError, match=r"only .* can sign for others"):
        webhook(name, options=options, secret=held or "")


def test_a_bookmark_is_signed_anew_for_a_preset_of_code(client: TestClient) -> None:
    source = make(client, "adyen", {})
    body = {"event": "AUTHORISATION"}
    first = client.post(f"/api/v1/sources/{source['name']}/trigger", json=body).json()
    answer = client.put("/api/v1/bookmarks/paid", json={"receipt": first["receipt"]})
    assert answer.status_code < 300, answer.text
    again = client.post(f"/api/v1/sources/{source['name']}/trigger", json={"bookmark": "paid"}).json()
    assert (again["verdict"], again["duplicate"]) == ("accepted", False)
    bodies = [client.get(f"/api/v1/receipts/{one['receipt']}").json()["body"] for one in (first, again)]
    assert bodies[0] != bodies[1]
    assert '"success":"true"' in bodies[1]


@pytest.mark.parametrize(
    ("name", "options", "body", "why"),
    [
        ("mtls", {"subjects": ""}, None, "no certificate is allowed"),
        ("mtls", {"fingerprints": "AB" * 32, "certificate_header": "X-Cert"}, None, "only the sender has it"),
        ("aws-sns", ORDERS, "[]", "no message of SNS"),
        ("aws-sns", ORDERS, '{"Type":"Other"}', "unknown type"),
        ("adyen", {}, '{"notificationItems":[1]}', "no NotificationRequestItem"),
        ("adyen", {}, "nonsense", "no notification of Adyen"),
    ],
)
def test_what_cannot_be_signed_is_refused_and_says_why(
    client: TestClient, name: str, options: dict[str, str], body: str | None, why: str
) -> None:
    source = make(client, name, options)
    answer = client.post(f"/api/v1/sources/{source['name']}/trigger", json={"body": body})
    assert answer.status_code == 422
    assert why in answer.json()["detail"]


def test_the_kit_signs_for_presets_of_code() -> None:
    made = webhook("netlify", "deploy.ready")
    assert made.headers["X-Webhook-Signature"].count(".") == 2
    assert webhook("adyen", "AUTHORISATION").json()["notificationItems"]
