"""Tokens of senders: valid, tampered, downgraded, with keys that are fetched, and with keys that cannot be had."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.keyhost import Reply

from . import second_jose as second
from .keyed import Bench

BODY = b'{"type":"order.created","id":"1001"}'
JWKS = "keys.example.com/jwks"
BY_URL = {"keys": "url", "keys_url": f"https://{JWKS}", "issuer": "https://issuer.example", "audience": "hub"}
SECRET = "a secret of at least 32 characters"


def claims(bench: Bench, **more: Any) -> dict[str, Any]:
    return {"iss": "https://issuer.example", "aud": "hub", "iat": bench.now, "exp": bench.now + 300, **more}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def publish(bench: Bench, *entries: dict[str, Any]) -> None:
    bench.host.replies[JWKS] = Reply(second.keys(*entries))


@pytest.mark.parametrize(
    ("alg", "key", "secret"),
    [
        ("HS256", SECRET.encode(), SECRET),
        ("RS256", second.RSA_KEY, second.der64(second.RSA_KEY)),
        ("ES256", second.EC_KEY, second.der64(second.EC_KEY)),
    ],
    ids=["HS256", "RS256", "ES256"],
)
class TestKeyOfTheSource:
    def test_a_token_of_it_is_valid_and_no_other(self, bench: Bench, alg: str, key: Any, secret: str) -> None:
        options = {"algorithm": alg, "issuer": "https://issuer.example", "audience": "hub"}
        good = second.token(claims(bench), key, alg)
        verdict = bench.judge("jwt", BODY, bearer(good), options=options, secret=secret)
        assert verdict.valid, verdict.reason
        assert (verdict.secret_id, verdict.signed, verdict.timestamp_checked) == ("one", None, True)
        head, payload, signature = good.split(".")
        other = second.url64(json.dumps(claims(bench, sub="root")).encode())
        for text in (f"{head}.{other}.{signature}", f"{head}.{payload}.", f"{head}.{payload}", good + "A", "", "a.b.c"):
            assert not bench.judge("jwt", BODY, bearer(text), options=options, secret=secret).valid

    def test_the_algorithm_is_the_sources_whatever_the_token_says(
        self, bench: Bench, alg: str, key: Any, secret: str
    ) -> None:
        forged = [second.token(claims(bench), None, name) for name in ("none", "None", "NONE", "nOnE")]
        if alg != "HS256":
            for public in (second.public_pem(key), secret.encode(), second.public_pem(key).strip()):
                forged.append(second.token(claims(bench), public, "HS256"))
        for text in forged:
            verdict = bench.judge("jwt", BODY, bearer(text), options={"algorithm": alg}, secret=secret)
            assert not verdict.valid
            assert alg in verdict.reason


def test_a_public_key_is_not_taken_as_a_shared_secret(bench: Bench) -> None:
    pem = second.public_pem(second.RSA_KEY)
    for secret in (pem.decode(), second.der64(second.RSA_KEY)):
        text = second.token(claims(bench), secret.encode(), "HS256")
        verdict = bench.judge("jwt", BODY, bearer(text), options={"algorithm": "HS256"}, secret=secret)
        assert verdict.valid is ("BEGIN" not in secret), "base64 may be anybody's secret, PEM is not"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iss": "https://other.example"}, "issued by"),
        ({"iss": None}, "issued by"),
        ({"aud": "other"}, "meant for"),
        ({"aud": ["other"]}, "meant for"),
        ({"exp": -120}, "expired"),
        ({"exp": None}, "no number"),
        ({"exp": "later"}, "no number"),
        ({"exp": True}, "no number"),
        ({"nbf": 600}, "future"),
        ({"iat": 600}, "future"),
    ],
    ids=str,
)
def test_the_claims_must_hold(bench: Bench, changed: dict[str, Any], why: str) -> None:
    said = {name: bench.now + value if type(value) is int else value for name, value in changed.items()}
    options = {"algorithm": "HS256", "issuer": "https://issuer.example", "audience": "hub"}
    text = second.token(claims(bench, **said), SECRET.encode(), "HS256")
    verdict = bench.judge("jwt", BODY, bearer(text), options=options, secret=SECRET)
    assert not verdict.valid
    assert why in verdict.reason


def test_a_token_without_an_end_is_refused_and_a_list_of_audiences_is_taken(bench: Bench) -> None:
    options = {"algorithm": "HS256", "audience": "hub"}
    text = second.token({"aud": ["x", "hub"], "exp": bench.now + 9}, SECRET.encode(), "HS256")
    assert bench.judge("jwt", BODY, bearer(text), options=options, secret=SECRET).valid
    text = second.token({"aud": "hub"}, SECRET.encode(), "HS256")
    assert "ends" in bench.judge("jwt", BODY, bearer(text), options=options, secret=SECRET).reason


@pytest.mark.parametrize("payload", [b"[]", b"null", b"not json", b"\xff", b"[" * 100_000], ids=lambda p: str(p[:8]))
def test_claims_that_are_no_object_are_refused(bench: Bench, payload: bytes) -> None:
    text = second.token(payload[:9_000], SECRET.encode(), "HS256")
    assert not bench.judge("jwt", BODY, bearer(text), options={"algorithm": "HS256"}, secret=SECRET).valid


def test_a_body_claim_protects_the_body_and_the_token_once(bench: Bench) -> None:
    options = {"algorithm": "HS256", "body_claim": "sha256"}
    text = second.token(claims(bench, sha256=second.sha(BODY)), SECRET.encode(), "HS256")
    verdict = bench.judge("jwt", BODY, bearer(text), options=options, secret=SECRET)
    assert verdict.valid
    assert verdict.signed == text.rpartition(".")[0].encode()
    assert not bench.judge("jwt", BODY + b" ", bearer(text), options=options, secret=SECRET).valid
    bare = second.token(claims(bench), SECRET.encode(), "HS256")
    assert not bench.judge("jwt", BODY, bearer(bare), options=options, secret=SECRET).valid


def test_extensions_and_long_tokens_are_refused(bench: Bench) -> None:
    for more in ({"crit": ["b64"], "b64": False}, {"b64": True}, {"kid": 7}, {"kid": "k" * 300}, {"x": "y" * 20_000}):
        text = second.token(claims(bench), SECRET.encode(), "HS256", **more)
        assert not bench.judge("jwt", BODY, bearer(text), options={"algorithm": "HS256"}, secret=SECRET).valid


def test_keys_are_read_from_their_address_once(bench: Bench) -> None:
    publish(bench, second.jwk(second.EC_KEY, "ec"), second.jwk(second.RSA_KEY, "rsa"))
    text = second.token(claims(bench), second.RSA_KEY, "RS256", kid="rsa")
    for _ in range(5):
        verdict = bench.judge("jwt", BODY, bearer(text), options=BY_URL)
        assert verdict.valid, verdict.reason
    assert bench.host.seen == [("GET", JWKS)]
    bench.clock += 3_601
    assert bench.judge("jwt", BODY, bearer(text), options=BY_URL).valid
    assert bench.look_ups == 2


def test_addresses_and_keys_inside_a_token_are_ignored(bench: Bench) -> None:
    mine = second.rsa.generate_private_key(65537, 2048)
    publish(bench, second.jwk(second.RSA_KEY, "rsa"))
    bench.host.replies["keys.example.com/evil"] = Reply(second.keys(second.jwk(mine, "rsa")))
    for more in (
        {"jku": "https://keys.example.com/evil"},
        {"x5u": "https://keys.example.com/evil"},
        {"jwk": second.jwk(mine, "rsa")},
        {"jku": "http://169.254.169.254/"},
    ):
        text = second.token(claims(bench), mine, "RS256", kid="rsa", **more)
        assert not bench.judge("jwt", BODY, bearer(text), options=BY_URL).valid
        honest = second.token(claims(bench), second.RSA_KEY, "RS256", kid="rsa", **more)
        assert bench.judge("jwt", BODY, bearer(honest), options=BY_URL).valid
    assert bench.host.seen == [("GET", JWKS)]


def test_unknown_keys_make_it_look_only_so_often(bench: Bench) -> None:
    publish(bench, second.jwk(second.RSA_KEY, "rsa"))
    for index in range(10_000 // 50):
        text = second.token(claims(bench), second.RSA_KEY, "RS256", kid=f"unknown {index}")
        verdict = bench.judge("jwt", BODY, bearer(text), options=BY_URL)
        assert (verdict.valid, verdict.retry_after) == (False, 0)
        bench.clock += 0.5
    assert bench.look_ups <= 2, "one at first, one after a minute"


def test_a_new_key_of_the_issuer_is_found_after_a_minute(bench: Bench) -> None:
    publish(bench, second.jwk(second.EC_KEY, "old"))
    old = second.token(claims(bench), second.EC_KEY, "ES256", kid="old")
    new = second.token(claims(bench), second.RSA_KEY, "RS256", kid="new")
    assert bench.judge("jwt", BODY, bearer(old), options={**BY_URL, "algorithm": "ES256"}).valid
    publish(bench, second.jwk(second.RSA_KEY, "new"))
    assert not bench.judge("jwt", BODY, bearer(new), options=BY_URL).valid
    bench.clock += 61
    assert bench.judge("jwt", BODY, bearer(new), options=BY_URL).valid


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": second.url64(b"s" * 32), "kid": "rsa"},
        second.jwk(second.RSA_KEY, "rsa", use="enc"),
        second.jwk(second.RSA_KEY, "rsa", alg="RS512"),
        second.jwk(second.EC_KEY, "rsa"),
        second.jwk(second.rsa.generate_private_key(65537, 1024), "rsa"),
        {"kty": "RSA", "kid": "rsa"},
        {"kty": "RSA", "kid": ["rsa"]},
        "no key",
    ],
    ids=["symmetric", "enc", "RS512", "EC", "short", "empty", "odd kid", "text"],
)
def test_a_published_key_of_another_kind_does_not_count(bench: Bench, entry: Any) -> None:
    publish(bench, entry, second.jwk(second.EC_KEY, "other"))
    text = second.token(claims(bench), second.RSA_KEY, "RS256", kid="rsa")
    verdict = bench.judge("jwt", BODY, bearer(text), options=BY_URL)
    assert (verdict.valid, verdict.retry_after) == (False, 0)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"", 500), Reply(b"", 404), Reply(b"not json"), Reply(b"[]"), Reply(b'{"keys":1}'),
        Reply(b"", 302, {"Location": "https://keys.example.com/elsewhere"}), Reply(b" " * 70_000),
    ],
    ids=["500", "404", "no json", "list", "no keys", "redirect", "large"],
)  # fmt: skip
def test_keys_that_cannot_be_had_make_the_sender_wait(bench: Bench, reply: Reply) -> None:
    bench.host.replies[JWKS] = reply
    bench.host.replies["keys.example.com/elsewhere"] = Reply(second.keys(second.jwk(second.RSA_KEY, "rsa")))
    text = second.token(claims(bench), second.RSA_KEY, "RS256", kid="rsa")
    for _ in range(20):
        verdict = bench.judge("jwt", BODY, bearer(text), options=BY_URL)
        assert not verdict.valid
        assert 1 <= verdict.retry_after <= 31
    assert bench.look_ups == 1, "a failure is remembered, too"
    publish(bench, second.jwk(second.RSA_KEY, "rsa"))
    bench.clock += 31
    assert bench.judge("jwt", BODY, bearer(text), options=BY_URL).valid


def test_a_host_that_is_away_does_not_take_away_what_is_known(bench: Bench) -> None:
    publish(bench, second.jwk(second.RSA_KEY, "rsa"))
    good = second.token(claims(bench), second.RSA_KEY, "RS256", kid="rsa")
    unknown = second.token(claims(bench), second.RSA_KEY, "RS256", kid="new")
    assert bench.judge("jwt", BODY, bearer(good), options=BY_URL).valid
    bench.host.down, bench.clock = True, bench.clock + 120
    assert bench.judge("jwt", BODY, bearer(unknown), options=BY_URL).retry_after
    assert bench.judge("jwt", BODY, bearer(good), options=BY_URL).valid


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254"])
def test_the_address_of_keys_must_be_public(bench: Bench, address: str) -> None:
    bench.host.addresses["keys.example.com"] = [[address]]
    text = second.token(claims(bench), second.RSA_KEY, "RS256", kid="rsa")
    verdict = bench.judge("jwt", BODY, bearer(text), options=BY_URL)
    assert verdict.retry_after
    assert bench.host.dialled == []


PUSH = {"audience": "https://hub.example/in/x", "email": "push@acme.iam.gserviceaccount.com"}
GOOGLE = "www.googleapis.com/oauth2/v3/certs"


def google(bench: Bench, **more: Any) -> dict[str, Any]:
    said = {"iss": "https://accounts.google.com", "aud": PUSH["audience"], "email": PUSH["email"]}
    return {**said, "email_verified": True, "iat": bench.now, "exp": bench.now + 3_600, **more}


def test_pubsub_takes_a_token_of_googles_for_our_audience_and_account(bench: Bench) -> None:
    bench.host.replies[GOOGLE] = Reply(second.keys(second.jwk(second.RSA_KEY, "g1")))
    text = second.token(google(bench), second.RSA_KEY, "RS256", kid="g1")
    verdict = bench.judge("google-pubsub", BODY, bearer(text), options=PUSH)
    assert verdict.valid, verdict.reason
    assert bench.host.seen == [("GET", GOOGLE)]


def test_pubsub_takes_the_claims_that_google_publishes(bench: Bench) -> None:
    """https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions, signed by the second implementation."""
    said = {
        "aud": "https://example.com", "azp": "113774264463038321964", "email": "gae-gcp@appspot.gserviceaccount.com",
        "sub": "113774264463038321964", "email_verified": True, "exp": 1550185935, "iat": 1550182335,
        "iss": "https://accounts.google.com",
    }  # fmt: skip
    kid = "7d680d8c70d44e947133cbd499ebc1a61c3d5abc"
    bench.host.replies[GOOGLE] = Reply(second.keys(second.jwk(second.RSA_KEY, kid)))
    text = second.token(said, second.RSA_KEY, "RS256", kid=kid)
    options = {"audience": "https://example.com", "email": "gae-gcp@appspot.gserviceaccount.com"}
    assert bench.judge("google-pubsub", BODY, bearer(text), options=options, now=1550182400).valid
    assert not bench.judge("google-pubsub", BODY, bearer(text), options=options, now=1550186000).valid


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://accounts.google.com.evil.tld"},
        {"aud": "https://other.example"},
        {"email": "other@acme.iam.gserviceaccount.com"},
        {"email": None},
        {"email_verified": False},
        {"email_verified": "true"},
        {"exp": 1_700_000_000},
    ],
    ids=str,
)
def test_pubsub_refuses_other_claims(bench: Bench, changed: dict[str, Any]) -> None:
    bench.host.replies[GOOGLE] = Reply(second.keys(second.jwk(second.RSA_KEY, "g1")))
    text = second.token(google(bench, **changed), second.RSA_KEY, "RS256", kid="g1")
    assert not bench.judge("google-pubsub", BODY, bearer(text), options=PUSH).valid


PLAID = "client-1:secret-1"
KID = "bfbd5111-8e33-4643-8ced-b2e642a72f3c"
ASK = "production.plaid.com/webhook_verification_key/get"


def plaid_api(bench: Bench, **more: Any) -> None:
    def answer(body: bytes) -> Reply:
        asked = json.loads(body)
        if (asked["client_id"], asked["secret"]) != ("client-1", "secret-1"):
            return Reply(b'{"error_code":"INVALID_API_KEYS"}', 400)
        if asked["key_id"] != KID:
            return Reply(b'{"error_code":"INVALID_WEBHOOK_VERIFICATION_KEY_ID"}', 400)
        key = second.jwk(second.EC_KEY, KID, created_at=1560466143, expired_at=None, **more)
        return Reply(json.dumps({"key": key, "request_id": "RZ6Omi1bzzwDaLo"}).encode())

    bench.host.replies[ASK] = answer


def plaid(bench: Bench, body: bytes = BODY, kid: str = KID, alg: str = "ES256", **more: Any) -> dict[str, str]:
    said = {"iat": bench.now, "request_body_sha256": second.sha(body), **more}
    key = second.EC_KEY if alg == "ES256" else second.RSA_KEY if alg == "RS256" else b"x"
    return {"Plaid-Verification": second.token(said, key, alg, kid=kid)}


def test_plaid_takes_a_key_of_its_api_and_asks_once(bench: Bench) -> None:
    plaid_api(bench)
    for _ in range(3):
        verdict = bench.judge("plaid", BODY, plaid(bench), secret=PLAID)
        assert verdict.valid, verdict.reason
        assert verdict.timestamp_checked
    assert bench.host.seen == [("POST", ASK)]


def test_plaid_refuses_other_bodies_times_and_algorithms(bench: Bench) -> None:
    plaid_api(bench)
    assert not bench.judge("plaid", BODY + b" ", plaid(bench), secret=PLAID).valid
    assert not bench.judge("plaid", BODY, plaid(bench, iat=bench.now - 301), secret=PLAID).valid
    assert not bench.judge("plaid", BODY, plaid(bench, iat=bench.now + 301), secret=PLAID).valid
    assert bench.judge("plaid", BODY, plaid(bench, iat=bench.now - 299), secret=PLAID).valid
    for alg in ("none", "HS256", "RS256"):
        assert not bench.judge("plaid", BODY, plaid(bench, alg=alg), secret=PLAID).valid
    assert bench.look_ups == 1, "another algorithm is refused before anything is asked"


def test_plaid_is_asked_for_unknown_keys_only_so_often(bench: Bench) -> None:
    plaid_api(bench)
    answers = [bench.judge("plaid", BODY, plaid(bench, kid=f"kid-{index}"), secret=PLAID) for index in range(100)]
    assert not any(verdict.valid for verdict in answers)
    assert bench.look_ups == 20
    assert answers[0].retry_after == 0
    assert answers[-1].retry_after > 0
    bench.host.seen.clear()
    assert bench.judge("plaid", BODY, plaid(bench, kid="kid-0"), secret=PLAID).retry_after == 0
    assert bench.look_ups == 0, "that there is no such key is remembered"
    for kid in ("", "a/../b", "k" * 65):
        assert not bench.judge("plaid", BODY, plaid(bench, kid=kid), secret=PLAID).retry_after


def test_plaid_refuses_a_key_that_has_ended_and_waits_where_its_api_does_not_answer(bench: Bench) -> None:
    plaid_api(bench)
    bench.host.replies[ASK] = Reply(json.dumps({"key": second.jwk(second.EC_KEY, KID, expired_at=1.0)}).encode())
    assert not bench.judge("plaid", BODY, plaid(bench), secret=PLAID).valid
    bench.clock += 4_000
    bench.host.replies[ASK] = Reply(b"", 503)
    assert bench.judge("plaid", BODY, plaid(bench), secret=PLAID).retry_after
    assert bench.judge("plaid", BODY, plaid(bench), secret="client-1:wrong").retry_after
    assert not bench.judge("plaid", BODY, plaid(bench), secret="no colon").valid


def netlify(body: bytes, secret: str = SECRET, alg: str = "HS256", **more: Any) -> dict[str, str]:
    said = {"iss": "netlify", "sha256": second.sha(body), **more}
    key: Any = second.RSA_KEY if alg == "RS256" else secret.encode()
    return {"X-Webhook-Signature": second.token(said, key, alg)}


def test_netlify_signs_the_hash_of_the_body(bench: Bench) -> None:
    assert bench.judge("netlify", BODY, netlify(BODY), secret=SECRET).valid
    assert bench.judge("netlify", BODY, netlify(BODY, "short"), secret="short").valid
    assert not bench.judge("netlify", BODY + b" ", netlify(BODY), secret=SECRET).valid
    assert not bench.judge("netlify", BODY, netlify(BODY, iss="other"), secret=SECRET).valid
    assert not bench.judge("netlify", BODY, netlify(BODY, sha256=None), secret=SECRET).valid
    assert not bench.judge("netlify", BODY, netlify(BODY, "another"), secret=SECRET).valid
    for alg in ("none", "RS256"):
        assert not bench.judge("netlify", BODY, netlify(BODY, alg=alg), secret=SECRET).valid
