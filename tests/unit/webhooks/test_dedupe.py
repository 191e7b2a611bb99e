from __future__ import annotations

import json
from typing import Any

from hub.webhooks.dedupe import dedupe_keys, join_key, protects_from_replay
from hub.webhooks.verify import verify

from .examples import NOW, SECRET, mac, make, post, signed_post, timed


def keys(preset: Any, request: Any, **options: str) -> set[str]:
    verdict = verify(preset, request, [SECRET], now=NOW, options=options)
    assert verdict.valid, verdict.reason
    return set(dedupe_keys(preset, request, verdict, options))


UNSIGNED_ID = make(event={"type": "json:type", "id": "header:X-Id"})


def test_an_id_inside_the_signed_body_counts_twice_once_as_id_and_once_as_bytes() -> None:
    first, other = signed_post(b'{"id":"1"}'), signed_post(b'{"id":"1","more":true}')
    assert len(keys(make(), first)) == 2
    assert keys(make(), first) & keys(make(), other)


def test_an_unsigned_id_can_be_changed_so_only_it_counts_unless_bodies_are_unique() -> None:
    first, replayed = signed_post(**{"X-Id": "1"}), signed_post(**{"X-Id": "2"})
    assert not keys(UNSIGNED_ID, first) & keys(UNSIGNED_ID, replayed)
    assert not protects_from_replay(UNSIGNED_ID)
    promised = make(event={"id": "header:X-Id"}, dedupe={"unique_body": True})
    assert keys(promised, first) & keys(promised, replayed)
    assert keys(UNSIGNED_ID, first, unique_body="yes") & keys(UNSIGNED_ID, replayed, unique_body="yes")
    assert not keys(promised, first, unique_body="no") & keys(promised, replayed, unique_body="no")


def test_a_signed_time_makes_the_bytes_count_and_a_retry_is_known_by_its_id() -> None:
    def at(stamp: int, body: bytes) -> Any:
        return post(body, {"X-Sig": f"t={stamp},v1={mac(f'{stamp}.'.encode() + body)}"})

    preset = timed()
    no_id = b'{"type":"a"}'
    assert keys(preset, at(1_700_000_000, no_id)) == keys(preset, at(1_700_000_000, no_id))
    assert not keys(preset, at(1_700_000_000, no_id)) & keys(preset, at(1_700_000_001, no_id))
    with_id = b'{"id":"7"}'
    assert keys(preset, at(1_700_000_000, with_id)) & keys(preset, at(1_700_000_001, with_id))


def test_a_plain_body_signature_without_any_id_gives_no_key_at_all() -> None:
    assert keys(make(event={"type": "json:type"}), signed_post()) == set()


def test_a_token_source_dedupes_by_bytes_only_on_the_owners_word() -> None:
    preset = make(verify={"kind": "token", "token": {"from": "header:X-Token"}}, event={})
    request = post(b"reading", {"X-Token": SECRET.value})
    assert keys(preset, request) == set()
    assert len(keys(preset, request, unique_body="yes")) == 1


def test_fields_are_joined_so_that_their_borders_count() -> None:
    preset = make(dedupe={"keys": [["json:a", "json:b"]]})
    one, two = json.dumps({"a": "ab", "b": "c"}), json.dumps({"a": "a", "b": "bc"})
    assert keys(preset, signed_post(one.encode())) != keys(preset, signed_post(two.encode()))
    assert join_key("id", ("ab", "c")) != join_key("id", ("a", "bc"))
    assert join_key("id", ("1:a",)) != join_key("id", ("a",))
    assert keys(preset, signed_post(b'{"x":1}')) == set()


def test_keys_are_short_whatever_the_id_holds() -> None:
    body = json.dumps({"id": "\x00" + "x" * 10_000}).encode()
    assert all(len(key) < 80 and key.isprintable() for key in keys(make(), signed_post(body)))


def test_a_key_of_fields_may_hold_lists() -> None:
    preset = make(dedupe={"keys": [["json:group", "json:alerts"]], "window": "2m"})
    keys = [
        dedupe_keys(preset, request, verify(preset, request, [SECRET], now=NOW))
        for body in (
            b'{"group":"g","alerts":[{"a":1,"b":2}],"time":1}',
            b'{"group":"g","alerts":[{"b":2,"a":1}],"time":2}',
            b'{"group":"g","alerts":[{"b":3,"a":1}],"time":2}',
        )
        if (request := signed_post(body))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_a_time_inside_the_signed_body_makes_its_bytes_unique() -> None:
    verification = {
        "kind": "hmac",
        "signature": {"from": "header:X-Sig"},
        "timestamp": {"from": "json:at", "unit": "ms"},
        "signed": "{body}",
    }
    assert protects_from_replay(make(verify=verification, event={"type": "json:type", "id": "header:X-Id"}))
