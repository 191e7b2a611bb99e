from __future__ import annotations

import base64
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hub.errors import UsageError
from hub.types import SECOND
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import Verdict, verify
from hypothesis import given, settings
from hypothesis import strategies as st

from .examples import NOW, SECRET, mac, make, post, signed_post, timed

HMAC = make()
TIMED = timed()
STANDARD = make(verify={"kind": "standard-webhooks"})
TOKEN = make(verify={"kind": "token", "token": {"from": "header:Authorization", "prefix": "Bearer "}})
BASIC = make(verify={"kind": "basic"})
BASE64 = make(verify={"kind": "hmac", "signature": {"from": "header:X-Sig", "encoding": "base64"}, "signed": "{body}"})
ED = make(
    verify={
        "kind": "ed25519",
        "signature": {"from": "header:X-Sig"},
        "timestamp": {"from": "header:X-Time"},
        "signed": "{timestamp}{body}",
    }
)
WHSEC = SecretValue("s1", "whsec_" + base64.b64encode(b"k" * 32).decode())
BODY = b'{"type":"a","id":"1"}'


def judge(preset: Any, request: WebhookRequest, *secrets: SecretValue, now: int | None = NOW, **more: Any) -> Verdict:
    return verify(preset, request, secrets or (SECRET,), now=now, **more)


def stamped(stamp: str, *signatures: str, body: bytes = BODY) -> WebhookRequest:
    """A request in Stripe's manner whose signature is right for the timestamp as written."""
    right = mac(stamp.encode("utf-8", "surrogatepass") + b"." + body)
    items = [f"t={stamp}", *(f"v1={signature}" for signature in signatures or (right,))]
    return post(body, {"X-Sig": ",".join(items)})


def test_it_accepts_a_right_signature_and_names_the_secret() -> None:
    verdict = judge(HMAC, signed_post())
    assert verdict == Verdict(True, secret_id="s1", signed=verdict.signed)
    assert verdict.signed_digest is not None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha256=sha256=" + mac(BODY),
        "sha1=" + mac(BODY, hash_name="sha1"),
        mac(BODY),
        "sha256=" + mac(BODY)[:-2],
        "sha256=" + mac(BODY) + "00",
        "sha256=" + mac(BODY)[:32] + " " + mac(BODY)[32:],
        "sha256=" + mac(BODY, secret="another source's secret"),
        "sha256=" + mac(b'{"id": "1", "type": "a"}'),
        "sha256=\N{ARABIC-INDIC DIGIT ZERO}" + mac(BODY)[1:],
        "sha256=\xff\xfe",
        "sha256=" + "a" * 100_000,
        "sha256=\ud800",
    ],
    ids=ascii,
)
def test_it_refuses_a_signature_that_is(header: str | None) -> None:
    verdict = judge(HMAC, post(BODY, {} if header is None else {"X-Sig": header}))
    assert not verdict.valid
    assert verdict.reason
    assert "could not be verified" not in verdict.reason


def test_upper_case_hex_is_the_same_signature() -> None:
    assert judge(HMAC, post(BODY, {"X-Sig": "sha256=" + mac(BODY).upper()})).valid


@pytest.mark.parametrize(
    "change", [lambda s: s.rstrip("="), lambda s: s.replace("+", "-").replace("/", "_"), lambda s: s[:4] + " " + s[4:]]
)
def test_base64_must_be_padded_standard_and_without_spaces(change: Any) -> None:
    body = b"find a body whose signature holds + or / and padding: 3"
    right = base64.b64encode(bytes.fromhex(mac(body))).decode()
    assert judge(BASE64, post(body, {"X-Sig": right})).valid
    assert change(right) == right or not judge(BASE64, post(body, {"X-Sig": change(right)})).valid


def test_a_signature_header_that_comes_twice_is_refused_even_if_both_are_right() -> None:
    good = ("X-Sig", "sha256=" + mac(BODY))
    verdict = judge(HMAC, post(BODY, [good, ("x-sig", good[1])]))
    assert not verdict.valid
    assert "2 times" in verdict.reason


def test_ten_thousand_signatures_are_refused_without_being_tried() -> None:
    verdict = judge(TIMED, stamped("1700000000", *["0" * 64] * 10_000, mac(b"1700000000." + BODY)))
    assert not verdict.valid
    assert (
        judge(
            STANDARD,
            post(BODY, {"webhook-id": "a", "webhook-timestamp": "1700000000", "webhook-signature": "v1,AA== " * 1000}),
            WHSEC,
        ).valid
        is False
    )


def test_one_right_signature_among_a_few_is_enough_while_a_secret_is_rolled() -> None:
    assert judge(TIMED, stamped("1700000000", "0" * 64, mac(b"1700000000." + BODY))).valid


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_secret_verifies_nothing(value: str) -> None:
    forged = post(BODY, {"X-Sig": "sha256=" + mac(BODY, secret=value)})
    verdict = judge(HMAC, forged, SecretValue("s1", value))
    assert not verdict.valid
    assert "no usable secret" in verdict.reason


def test_no_secret_verifies_nothing() -> None:
    for preset in (HMAC, TIMED, STANDARD, TOKEN, BASIC, ED):
        assert "no usable secret" in verify(preset, signed_post(), [], now=NOW).reason


def test_every_secret_is_tried_and_the_one_that_matched_is_named() -> None:
    secrets = [SecretValue("old", "x"), SecretValue("broken", ""), SecretValue("new", SECRET.value)]
    assert judge(HMAC, signed_post(), *secrets).secret_id == "new"


def test_a_retired_secret_no_longer_verifies() -> None:
    retired = SecretValue("old", SECRET.value, expires_at=NOW)
    assert not judge(HMAC, signed_post(), retired).valid
    assert judge(HMAC, signed_post(), retired, now=NOW - 1).valid
    assert not judge(HMAC, signed_post(), retired, now=None).valid


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "0",
        "-1",
        "+1700000000",
        "1e9",
        "0x6553f100",
        "1_700_000_000",
        "1700000000.0",
        " 1700000000 ",
        "\N{ARABIC-INDIC DIGIT ONE}700000000",
        "1700000000000",
        str(2**63),
        "9" * 21,
        "9" * 5000,
        "Infinity",
        "1699999699",
        "1700000301",
    ],
)
def test_it_refuses_a_correctly_signed_timestamp_of(stamp: str) -> None:
    verdict = judge(TIMED, stamped(stamp))
    assert not verdict.valid
    assert "could not be verified" not in verdict.reason


@pytest.mark.parametrize("stamp", ["1699999700", "1700000000", "1700000300"])
def test_the_window_is_open_to_its_ends_both_ways(stamp: str) -> None:
    verdict = judge(TIMED, stamped(stamp))
    assert verdict.valid, verdict.reason
    assert verdict.timestamp_checked
    assert verdict.timestamp == int(stamp) * SECOND


def test_two_timestamps_in_one_header_are_refused() -> None:
    right = stamped("1700000000")
    header = right.first("X-Sig") or ""
    assert judge(TIMED, right).valid
    assert not judge(TIMED, post(BODY, {"X-Sig": header + ",t=1700000000"})).valid
    assert not judge(TIMED, post(BODY, {"X-Sig": header.replace("t=1700000000,", "")})).valid


def test_without_a_clock_the_window_is_not_checked_and_the_verdict_says_so() -> None:
    verdict = judge(TIMED, stamped("1"), now=None)
    assert verdict.valid
    assert not verdict.timestamp_checked


def test_a_source_may_narrow_the_window() -> None:
    assert not judge(TIMED, stamped("1699999900"), tolerance=60).valid


def test_an_id_with_full_stops_cannot_shift_the_signed_parts() -> None:
    key = b"k" * 32
    body = b"body"
    signed = b"a.1700000000.1700000000." + body
    signature = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    for ident, content in (("a.1700000000", body), ("a.1700000000.1700000000", b""), ("", body)):
        request = post(
            content, {"webhook-id": ident, "webhook-timestamp": "1700000000", "webhook-signature": signature}
        )
        assert not judge(STANDARD, request, WHSEC).valid


def test_a_symmetric_secret_never_counts_for_an_asymmetric_signature() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    signed = b"a.1700000000." + BODY
    headers = {"webhook-id": "a", "webhook-timestamp": "1700000000"}
    v1a = "v1a," + base64.b64encode(private.sign(signed)).decode()
    with_public_as_key = "v1," + base64.b64encode(hmac.digest(public, signed, "sha256")).decode()
    whpk = SecretValue("p", "whpk_" + base64.b64encode(public).decode())
    assert judge(STANDARD, post(BODY, {**headers, "webhook-signature": v1a}), whpk).valid
    assert not judge(STANDARD, post(BODY, {**headers, "webhook-signature": with_public_as_key}), whpk).valid


def test_ed25519_over_time_and_body() -> None:
    private = Ed25519PrivateKey.generate()
    public = SecretValue("p", private.public_key().public_bytes_raw().hex())
    headers = {"X-Time": "1700000000", "X-Sig": private.sign(b"1700000000" + BODY).hex()}
    assert judge(ED, post(BODY, headers), public).valid
    assert not judge(ED, post(BODY + b" ", headers), public).valid
    assert not judge(ED, post(BODY, headers), SecretValue("p", "00" * 31)).valid


def test_a_token_and_basic_credentials_are_compared_whole() -> None:
    bearer = {"Authorization": "Bearer " + SECRET.value}
    assert judge(TOKEN, post(BODY, bearer)).secret_id == "s1"
    for wrong in ("Bearer top secre", "Bearer top secret ", "bearer top secret", "top secret", "Bearer ", ""):
        assert not judge(TOKEN, post(BODY, {"Authorization": wrong})).valid
    user = SecretValue("u", "mona:lisa")
    encoded = base64.b64encode(b"mona:lisa").decode()
    assert judge(BASIC, post(BODY, {"Authorization": f"Basic {encoded}"}), user).valid
    for wrong in (f"Bearer {encoded}", "Basic", "Basic !!", "Basic " + base64.b64encode(b"mona:").decode()):
        assert not judge(BASIC, post(BODY, {"Authorization": wrong}), user).valid
    assert not judge(BASIC, post(BODY, {"Authorization": f"Basic {encoded}"}), SecretValue("u", "nocolon")).valid


def test_nothing_is_verified_only_where_that_is_written_out() -> None:
    assert not judge(HMAC, post(BODY)).valid
    assert judge(HMAC, post(BODY), verify_none=True).valid
    assert judge(make(verify={"kind": "none"}), post(BODY)).valid


def test_a_preset_of_a_missing_plugin_verifies_nothing() -> None:
    preset = make(verify={"kind": "plugin:sns"})
    assert "not installed" in judge(preset, post(BODY)).reason

    def accept(*_: Any) -> Verdict:
        return Verdict(True, secret_id="p")

    def explode(*_: Any) -> Verdict:
        raise ZeroDivisionError

    assert judge(preset, post(BODY), verifiers={"sns": accept}).valid
    assert "ZeroDivisionError" in judge(preset, post(BODY), verifiers={"sns": explode}).reason


def test_a_wrong_option_is_the_owners_mistake_and_raises() -> None:
    with pytest.raises(UsageError, match="no option 'colour'"):
        judge(HMAC, signed_post(), options={"colour": "red"})


def test_method_url_header_and_json_can_be_signed() -> None:
    signed = "{method}|{url}{body}|{header:X-Part}|{json:id}|"
    preset = make(verify={"kind": "hmac", "signature": {"from": "header:X-Sig"}, "signed": signed})
    url = "https://hub.example/in/x?a=1"
    sig = mac(b"POST|https://hub.example/in/x?a=1" + BODY + b"|p|1|")
    assert judge(preset, post(BODY, {"X-Sig": sig, "X-Part": "p"}, url=url)).valid
    assert not judge(preset, post(BODY, {"X-Sig": sig, "X-Part": "p"}, url=url + "2")).valid
    assert not judge(preset, post(BODY, {"X-Sig": sig, "X-Part": "p|1"}, url=url)).valid
    assert not judge(preset, post(BODY, [("X-Sig", sig), ("X-Part", "p"), ("X-Part", "p")], url=url)).valid
    assert not judge(preset, post(b"[]", {"X-Sig": sig, "X-Part": "p"}, url=url)).valid


def test_a_token_may_stand_in_the_query() -> None:
    preset = make(verify={"kind": "token", "token": {"from": "query:key"}})
    assert judge(preset, post(BODY, url="https://hub.example/in/x?key=top%20secret")).valid
    assert not judge(preset, post(BODY, url="https://hub.example/in/x?key=top%20secret&key=top%20secret")).valid
    assert not judge(preset, post(BODY, url="https://[::1/in/x?key=top%20secret")).valid


TEXT = st.text(max_size=80)
HEADER = st.tuples(
    st.sampled_from(
        ["X-Sig", "x-sig", "X-Time", "webhook-id", "webhook-timestamp", "webhook-signature", "Authorization"]
    ),
    st.one_of(
        TEXT,
        st.sampled_from(["t=1,v1=00", "v1,AA==", "Basic Og==", "Bearer ", "sha256=00", "1700000000", "t=,v1=,v0="]),
        st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")),
        st.text(alphabet=st.characters(categories=["Cs", "Cc", "Nd"]), max_size=20),
    ),
)


@settings(max_examples=400, deadline=None)
@given(
    preset=st.sampled_from([HMAC, TIMED, STANDARD, TOKEN, BASIC, BASE64, ED]),
    headers=st.lists(HEADER, max_size=6),
    body=st.binary(max_size=200),
    url=TEXT,
    method=TEXT,
    secret=TEXT,
    now=st.one_of(st.none(), st.integers(-(2**70), 2**70)),
    tolerance=st.one_of(st.none(), st.integers(-5, 2**40)),
)
def test_it_answers_for_any_input_and_never_with_a_pass(
    preset: Any, headers: Any, body: bytes, url: str, method: str, secret: str, now: Any, tolerance: Any
) -> None:
    request = WebhookRequest(method, url, tuple(headers), body)
    verdict = verify(preset, request, [SecretValue("s", secret)], now=now, tolerance=tolerance)
    assert "could not be verified" not in verdict.reason
    # Only a guessed token or password could pass; a signature cannot be guessed.
    assert not verdict.valid or preset in (TOKEN, BASIC)
