"""The door where verification is code and keys are fetched: it waits for nobody, and loses nothing."""

from __future__ import annotations

import binascii
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hub.plugins import load_plugins
from hub.settings import Settings
from hub.store import Store
from hub.types import SECOND, now_us, rfc3339
from hub.web.door.plugged import Beside, verifiers
from hub.webhooks.verify import Verdict
from tests.keyhost import KeyHost, Reply, certificate, pem
from tests.keyhost import serve as serve_keys
from tests.plugins.webhooks import second_jose as second
from tests.plugins.webhooks.keyed import Bench

from .doors import EVENT, PUSH, Served, change, make, rows, serve

TOPIC = "arn:aws:sns:us-east-1:123456789012:orders"
CERT = "sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem"
SNS, KEY = certificate("sns.amazonaws.com", key=second.RSA_KEY)


@pytest.fixture
def keys(tmp_path: Any) -> Iterator[KeyHost]:
    with serve_keys(tmp_path) as host:
        host.replies[CERT] = Reply(pem(SNS))
        yield host


@pytest.fixture
def bench(keys: KeyHost) -> Bench:
    return Bench(keys, now_us() // SECOND)


@pytest.fixture
def door(store: Store, bench: Bench) -> Iterator[Served]:
    with serve(store, verifiers=bench.verifiers) as served:
        yield served


def message(ident: str = "m-1", key: Any = KEY, **more: Any) -> bytes:
    said = {
        "Type": "Notification", "MessageId": ident, "TopicArn": TOPIC, "Message": "{}", "Timestamp": rfc3339(now_us()),
        "SignatureVersion": "1", "SigningCertURL": f"https://{CERT}",
    }  # fmt: skip
    return json.dumps(second.sns({**said, **more}, key)).encode()


def sns(door: Served, **more: Any) -> Any:
    return make(door.store, "aws-sns", secret=None, options={"topics": TOPIC}, **more)


def test_a_source_without_a_secret_is_open_where_keys_are_published(door: Served, keys: KeyHost) -> None:
    made = sns(door)
    body = message()
    answers = [door.post(made.path, body, {"Content-Type": "text/plain"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.json()["receipt"] for answer in answers}) == 1
    assert [(row["verdict"], row["event_type"], row["secret_id"]) for row in rows(door.store)] == [
        ("accepted", "Notification", None)
    ]
    assert keys.seen == [("GET", CERT)]


def test_a_key_that_cannot_be_had_is_503_and_nothing_is_lost(door: Served, keys: KeyHost, bench: Bench) -> None:
    made = sns(door)
    keys.down = True
    body = message()
    for _ in range(3):
        answer = door.post(made.path, body)
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 31
        assert "sns" not in answer.text
    assert {row["verdict"] for row in rows(door.store)} == {"rejected"}
    keys.down, bench.clock = False, bench.clock + 31
    assert door.post(made.path, body).status_code == 200
    assert [row["verdict"] for row in rows(door.store)][-1] == "accepted"


def test_what_is_not_valid_is_401_and_tells_no_reason(door: Served) -> None:
    made = sns(door)
    for body in (message(TopicArn=TOPIC + "x"), message(key=certificate("x")[1]), b"{}", b""):
        answer = door.post(made.path, body)
        assert answer.status_code == 401
        assert "topic" not in answer.text


def test_an_observed_source_takes_what_cannot_be_verified_and_says_so(door: Served, keys: KeyHost) -> None:
    made = sns(door, mode="observe")
    keys.down = True
    assert door.post(made.path, message()).status_code == 200
    (row,) = rows(door.store)
    assert row["verdict"] == "observed"
    assert "keys cannot be had" in row["reason"]


def test_a_slow_key_host_does_not_hold_up_other_sources(door: Served, keys: KeyHost) -> None:
    keys.replies[CERT] = Reply(pem(SNS), wait=1.5)
    made, other = sns(door), make(door.store, name="other")
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(door.post(made.path, message("m")).status_code))
        for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert door.knock(other, PUSH, EVENT).status_code == 202
    assert time.monotonic() - began < 1.0
    for thread in threads:
        thread.join(20)
    assert set(answers) <= {200, 503}
    assert 200 in answers
    assert len(keys.seen) == 1, "one look-up for all of them"


def test_a_verifier_that_takes_too_long_is_503(store: Store) -> None:
    class Slow(dict[str, Any]):
        def get(self, _name: str, _default: Any = None) -> Any:
            return lambda *_: time.sleep(0.5) or Verdict(True)

    with serve(store, verifiers=Slow()) as door:
        door.door._plugged = Beside(Slow(), longest_s=0.1)
        answer = door.post(sns(door).path, message())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        door.door._plugged = Beside(Slow(), at_once=0)
        assert door.post(sns(door, name="b").path, message()).status_code == 503
    assert rows(store) == []


def test_a_forged_body_with_the_checksum_of_a_genuine_one_starts_nothing(door: Served, keys: KeyHost) -> None:
    body = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED"}'
    root = certificate("a CA")
    leaf, signer = certificate("messageverificationcerts.paypal.com", issuer=root, names=("paypal.com",))
    headers = second.paypal(body, signer, "WEBHOOK", "t-1", rfc3339(now_us()))
    keys.replies[headers["PAYPAL-CERT-URL"].removeprefix("https://")] = Reply(pem(leaf) + pem(root[0]))
    made = make(door.store, "paypal", secret="WEBHOOK")
    first = door.post(made.path, body, headers)
    forged = second.with_crc(
        b'{"id":"WH-2","event_type":"PAYMENT.CAPTURE.COMPLETED","x":"', b'"}', binascii.crc32(body)
    )
    again = door.post(made.path, forged, headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["receipt"] == again.json()["receipt"]
    assert [row["body"] for row in rows(door.store)] == [body]


def test_the_secrets_of_tokens_are_not_kept(door: Served) -> None:
    made = make(door.store, "atlassian-connect", secret="s" * 32)
    door.post(f"{made.path}?jwt=a.b.c&user=mona", b"{}", {"Authorization": "JWT a.b.c"})
    (row,) = rows(door.store)
    assert "a.b.c" not in json.dumps([row["headers"], row["query"]])
    assert "user=mona" in row["query"]


def test_event_grid_is_answered_with_its_code_for_the_right_secret_only(door: Served) -> None:
    made = make(door.store, "azure-event-grid", secret="s3cret")
    asked = [{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6"}}]
    headers = {"aeg-event-type": "SubscriptionValidation", "Content-Type": "application/json"}
    body = json.dumps(asked).encode()
    answer = door.post(f"{made.path}?code=s3cret", body, headers)
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})
    assert door.post(f"{made.path}?code=wrong", body, headers).status_code == 401
    assert door.post(made.path, body, headers).status_code == 401
    asks = {"WebHook-Request-Origin": "eventgrid.azure.net"}
    answer = door.post(f"{made.path}?code=s3cret", b"", asks, "OPTIONS")
    assert (answer.status_code, answer.headers["webhook-allowed-origin"]) == (200, "eventgrid.azure.net")
    assert door.post(made.path, b"", asks, "OPTIONS").status_code == 401
    assert [row["verdict"] for row in rows(door.store)].count("handshake") == 2


def test_the_verifiers_of_the_installed_plugins_are_asked(store: Store, tmp_path: Any) -> None:
    hooks = load_plugins(Settings(home=tmp_path), process="web", store=store).hooks
    with serve(store, verifiers=verifiers(hooks)) as door:
        made = make(store, "netlify", secret="s" * 32)
        token = second.token({"iss": "netlify", "sha256": second.sha(b"{}")}, b"s" * 32, "HS256")
        assert door.post(made.path, b"{}", {"X-Webhook-Signature": token}).status_code == 200
        assert door.post(made.path, b"[]", {"X-Webhook-Signature": token}).status_code == 401
    loops = [loop.name for loop in load_plugins(Settings(home=tmp_path), process="upkeep", store=store).hooks.loops()]
    assert "sns subscriptions" in loops


def test_a_source_of_the_provider_with_keys_can_be_closed(door: Served) -> None:
    made = sns(door)
    change(door.store, "source.update", "a-source", enabled=False)
    assert door.post(made.path, message()).status_code == 404
