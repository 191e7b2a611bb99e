"""The shapes that presets are made of: ECDSA, digests, URLs, sorted forms, hashes, tokens of items, joined texts."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hub.errors import UsageError
from hub.types import SECOND
from hub.webhooks.preset import Preset
from hub.webhooks.reference import parse_text, spread
from hub.webhooks.scheme import UrlAs
from hub.webhooks.secrets import SecretValue
from hub.webhooks.signed import url_forms
from hub.webhooks.signing import sign
from hub.webhooks.verify import verify

from .examples import NOW, SECRET, mac, make, post

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HASHED = {
    "kind": "hmac",
    "signature": {"from": "header:X-Sig"},
    "signed": "{url}{form}",
    "body_hash": {"from": "query:hash"},
}


def scheme(**more: Any) -> Preset:
    return make(verify={"kind": "hmac", "signature": {"from": "header:X-Sig"}, "signed": "{body}", **more})


def is_valid(preset: Preset, request: Any, secret: str = SECRET.value, now: int | None = NOW) -> bool:
    return verify(preset, request, [SecretValue("s", secret)], now=now).valid


def keys(curve: Any = SECP256R1) -> tuple[str, str, str]:
    """A private key and its public one, as base64 DER and as PEM."""
    private = generate_private_key(curve())
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode(), base64.b64encode(spki).decode(), pem.decode()


ECDSA = make(
    verify={
        "kind": "ecdsa",
        "signature": {"from": "header:X-Sig", "encoding": "base64"},
        "timestamp": {"from": "header:X-Time"},
        "signed": "{timestamp}{body}",
    }
)


def test_an_ecdsa_signature_is_checked_with_a_public_key_in_either_form() -> None:
    private, der, pem = keys()
    request = sign(ECDSA, private, post(b'{"a":1}'), now=NOW)
    assert is_valid(ECDSA, request, der)
    assert is_valid(ECDSA, request, pem)
    assert not is_valid(ECDSA, post(b'{"a":2}', request.headers), der)
    assert not is_valid(ECDSA, request, der, NOW + 301 * SECOND)


@pytest.mark.parametrize("key", [keys()[1], keys(SECP384R1)[1], base64.b64encode(b"no key").decode(), "???", "-----"])
def test_no_other_key_passes_for_the_ecdsa_one(key: str) -> None:
    request = sign(ECDSA, keys()[0], post(b"{}"), now=NOW)
    assert not is_valid(ECDSA, request, key)


def test_a_key_of_another_curve_cannot_sign() -> None:
    private, der, _ = keys(SECP384R1)
    assert not is_valid(ECDSA, sign(ECDSA, private, post(b"{}"), now=NOW), der)


def test_a_digest_is_the_hash_of_secret_and_signed_string() -> None:
    preset = scheme(kind="digest", signed="{method}{url}{body}")
    digest = hashlib.sha256(b"top secretPOSThttps://a.example/x{}").hexdigest()
    assert is_valid(preset, post(b"{}", {"X-Sig": digest}, url="https://a.example/x"))
    assert not is_valid(preset, post(b"{}", {"X-Sig": digest}, url="https://a.example/y"))
    assert is_valid(preset, sign(preset, SECRET.value, post(b"{}", url="https://a.example/x"), now=NOW))


@pytest.mark.parametrize(
    ("url", "forms"),
    [
        ("https://a.example/x?y=1", ["https://a.example/x?y=1", "https://a.example:443/x?y=1"]),
        ("http://a.example/x", ["http://a.example/x", "http://a.example:80/x"]),
        ("https://a.example:8443/x", ["https://a.example:8443/x", "https://a.example/x"]),
        ("https://[::1]/x", ["https://[::1]/x", "https://[::1]:443/x"]),
        ("", [""]),
    ],
)
def test_a_url_may_be_signed_with_and_without_a_port(url: str, forms: list[str]) -> None:
    assert list(dict.fromkeys(url_forms(url, UrlAs(ports="either")))) == forms
    preset = scheme(signed="{url}{body}", url={"ports": "either"})
    for form in forms:
        assert is_valid(preset, post(b"{}", {"X-Sig": mac(form.encode() + b"{}")}, url=url))
    assert is_valid(scheme(signed="{url}{body}"), post(b"", {"X-Sig": mac(forms[0].encode())}, url=url))


def test_only_the_listed_characters_of_a_query_are_written_plainly() -> None:
    (form,) = url_forms("https://a.example/%3A?x=%3a%40%25%2B", UrlAs(unescape=":@"))
    assert form == "https://a.example/%3A?x=:@%25%2B"


def test_a_form_is_signed_by_its_sorted_fields_each_pair_once() -> None:
    preset = make(verify=HASHED)
    signed = mac(b"https://a.example/a1a2b\xc3\xa9")
    assert is_valid(preset, post(b"b=%C3%A9&a=2&a=1&a=2", {**FORM, "X-Sig": signed}, url="https://a.example/"))
    assert not is_valid(preset, post(b"b=%C3%A9&a=2", {**FORM, "X-Sig": signed}, url="https://a.example/"))


def test_a_body_that_is_no_form_needs_a_hash_in_the_signed_url() -> None:
    preset, body = make(verify=HASHED), b'{"type":"a"}'
    url = "https://a.example/?hash=" + hashlib.sha256(body).hexdigest()
    assert is_valid(preset, post(body, {"X-Sig": mac(url.encode())}, url=url))
    assert is_valid(preset, sign(preset, SECRET.value, post(body, url="https://a.example/"), now=NOW))
    assert not is_valid(preset, post(b"{}", {"X-Sig": mac(url.encode())}, url=url)), "another body"
    bare = "https://a.example/"
    assert not is_valid(preset, post(body, {"X-Sig": mac(bare.encode())}, url=bare)), "no hash"
    assert is_valid(preset, post(b"", {"X-Sig": mac(bare.encode())}, url=bare)), "no body"
    twice = url + "&hash=00"
    assert not is_valid(preset, post(body, {"X-Sig": mac(twice.encode())}, url=twice)), "two hashes"


def test_with_a_hash_the_fields_of_a_form_are_not_joined() -> None:
    preset, body = make(verify=HASHED), b"a=1"
    url = "https://a.example/?hash=" + hashlib.sha256(body).hexdigest()
    assert is_valid(preset, post(body, {**FORM, "X-Sig": mac(url.encode())}, url=url))
    assert not is_valid(preset, post(b"a=2", {**FORM, "X-Sig": mac(url.encode() + b"a2")}, url=url))


@pytest.mark.parametrize(
    "wrong",
    [
        {"signed": "{url}{form}"},
        {"signed": "{url}"},
        {"signed": "{header:X-A}", "body_hash": {"from": "query:hash"}},
        {"require": {"json:a": "1"}},
        {"require": {"nonsense": "1"}},
        {"url": {"unescape": "%"}},
    ],
    ids=str,
)
def test_a_scheme_that_would_leave_the_body_open_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((UsageError, ValueError)):
        scheme(**wrong)


def test_the_payload_of_a_form_is_what_is_signed_and_what_is_read() -> None:
    preset = scheme(signed="{payload}")
    body = b"payload=%7B%22type%22%3A%22a%22%7D&other=1"
    assert is_valid(preset, post(body, {**FORM, "X-Sig": mac(b'{"type":"a"}')}))
    assert is_valid(preset, post(b"{}", {"X-Sig": mac(b"{}")}))
    assert not is_valid(preset, post(b"other=1", {**FORM, "X-Sig": mac(b"")}))
    assert not is_valid(preset, post(body, {**FORM, "X-Sig": mac(body)}))


def test_what_is_required_must_be_there_exactly() -> None:
    preset = scheme(require={"header:X-Version": "1"})
    signature = {"X-Sig": mac(b"{}")}
    assert is_valid(preset, post(b"{}", {**signature, "X-Version": "1"}))
    assert not is_valid(preset, post(b"{}", {**signature, "X-Version": "2"}))
    assert not is_valid(preset, post(b"{}", signature))
    assert is_valid(preset, sign(preset, SECRET.value, post(b"{}"), now=NOW))


def test_a_signature_counts_in_any_of_its_places() -> None:
    preset = scheme(signature={"from": "header:X-One", "also": ["header:X-Two"]})
    assert is_valid(preset, post(b"{}", {"X-Two": mac(b"{}")}))
    assert is_valid(preset, post(b"{}", {"X-One": mac(b"[]"), "X-Two": mac(b"{}")}))
    assert not is_valid(preset, post(b"{}", {"X-One": mac(b"[]")}))
    assert not is_valid(preset, post(b"{}"))


ITEMS = make(verify={"kind": "token", "token": {"from": "json:state"}, "items": "value"})


def test_every_item_carries_the_token() -> None:
    assert is_valid(ITEMS, post(b'{"value":[{"state":"top secret"},{"state":"top secret"}]}'))
    assert is_valid(ITEMS, sign(ITEMS, SECRET.value, post(b'{"value":[{},{}]}'), now=NOW))


@pytest.mark.parametrize(
    "body",
    [
        b'{"value":[{"state":"top secret"},{"state":"other"}]}',
        b'{"value":[{"state":"top secret"},{}]}',
        b'{"value":[{"state":"top secret"},"top secret"]}',
        b'{"value":[{"state":["top secret"]}]}',
        b'{"value":[]}',
        b'{"value":{"state":"top secret"}}',
        b"{}",
        b"nonsense",
        b'{"value":[' + b",".join([b'{"state":"top secret"}'] * 1_001) + b"]}",
    ],
)
def test_one_item_without_the_token_spoils_all(body: bytes) -> None:
    assert not is_valid(ITEMS, post(body))


def test_a_time_and_a_signature_may_stand_in_the_body() -> None:
    preset = make(
        verify={
            "kind": "hmac",
            "signature": {"from": "json:signature.mac"},
            "timestamp": {"from": "json:signature.time"},
            "signed": "{timestamp}{json:signature.token}",
            "unsigned_body": True,
        }
    )
    request = sign(preset, SECRET.value, post(b'{"signature":{"time":0,"token":"t"}}'), now=NOW)
    assert is_valid(preset, request)
    assert not is_valid(preset, request, now=NOW + 301 * SECOND)
    assert not is_valid(preset, post(request.body.replace(b'"t"', b'"u"')))


def test_form_fields_are_signed_and_placed() -> None:
    preset = scheme(signature={"from": "form:mac"}, signed="{form:time}{form:token}", unsigned_body=True)
    request = sign(preset, SECRET.value, post(b"time=1&token=%C3%A9&mac=", FORM), now=NOW)
    assert request.body.decode().endswith(mac("1é".encode()))
    assert is_valid(preset, request)
    assert not is_valid(preset, post(request.body.replace(b"time=1", b"time=2"), FORM))


def test_a_joined_text_needs_all_of_its_parts() -> None:
    text = parse_text("{json:type}.{header:X-Action}")
    assert text.text(post(b'{"type":"a"}', {"X-Action": "b"})) == "a.b"
    assert text.text(post(b'{"type":"a"}')) is None
    assert text.text(post(b'{"type":""}', {"X-Action": "b"})) is None
    assert text.text(post(b'{"type":"a"}', {"X-Action": "b"}), {"type": "item"}) == "item.b"
    assert parse_text("{root:type}!{json:n}").text(post(b'{"type":"a"}'), {"n": 1}) == "a!1"
    for wrong in ("{json:a", "json:a}{header:b}", "{nonsense}"):
        with pytest.raises(ValueError, match=r"brace|reference"):
            parse_text(wrong)


def test_a_path_spreads_over_lists() -> None:
    body: Any = {"entry": [{"changes": [1, 2]}, {"changes": [3]}, {}]}
    assert spread(body, "entry.*.changes") == [1, 2, 3]
    assert spread(body, "entry") == body["entry"]
    assert spread(body, "nothing") == []
    assert spread([1, 2], ".") == [1, 2]
    assert spread([[1], [2]], "*") == [[1], [2]]
    assert spread({"value": {"a": 1}}, "value") == [{"a": 1}]
