from __future__ import annotations

import json
from typing import Any

import pytest
from hub.errors import UsageError
from hub.webhooks.redaction import MAX_PLACES, WHOLE, parse
from hub.webhooks.request import FORM, WebhookRequest

from .examples import make, post

MARK = "[redacted]"


def stored(body: Any, *places: str, headers: dict[str, str] | None = None) -> tuple[Any, tuple[str, ...]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kept = parse(places).apply(post(raw, headers or {}))
    return (json.loads(kept.body) if kept.body[:1] in (b"{", b"[") else kept.body), kept.places


@pytest.mark.parametrize(
    ("places", "body", "left"),
    [
        (["json:a.b"], {"a": {"b": 1, "c": 2}}, {"a": {"b": MARK, "c": 2}}),
        (["json:a"], {"a": {"b": [1]}, "c": "ü"}, {"a": MARK, "c": "ü"}),
        (["json:items.*.ssn"], {"items": [{"ssn": 1}, {"x": 2}, 3]}, {"items": [{"ssn": MARK}, {"x": 2}, 3]}),
        (["json:items.ssn"], {"items": [{"ssn": 1}, [{"ssn": 2}]]}, {"items": [{"ssn": MARK}, [{"ssn": MARK}]]}),
        (["json:items.1"], {"items": ["a", "b", "c"]}, {"items": ["a", MARK, "c"]}),
        (["json:*.email"], {"a": {"email": 1}, "b": {"email": 2}}, {"a": {"email": MARK}, "b": {"email": MARK}}),
        (["json:*.email"], [{"email": 1}], [{"email": MARK}]),
        (
            ["field:Password"],
            {"x": [{"PASSWORD": 1}], "password": {"y": 2}},
            {"x": [{"PASSWORD": MARK}], "password": MARK},
        ),
        (["field:user.email"], {"user.email": 1, "user": {"email": 2}}, {"user.email": MARK, "user": {"email": 2}}),
        (["json:a", "field:b"], {"a": {"b": 1}, "b": 2}, {"a": MARK, "b": MARK}),
    ],
)
def test_values_at_places_of_a_json_body_are_blotted_out(places: list[str], body: Any, left: Any) -> None:
    after, hit = stored(body, *places)
    assert after == left
    assert hit == tuple(places)


def test_a_body_without_such_values_stays_byte_for_byte() -> None:
    raw = b'{ "a" : 1.50 , "items": [{}] }'
    assert stored(raw, "json:b", "json:items.ssn", "field:card", "json:a.b.c")[1] == ()
    assert parse(["json:b"]).apply(post(raw, {})).body == raw


def test_fields_of_a_form_are_blotted_out_and_the_rest_stays() -> None:
    kept = parse(["json:email", "field:card"]).apply(
        post(b"name=Zo%C3%AB+X&email=a%40b&Card=4111&email=c", {"Content-Type": FORM})
    )
    assert kept.body == b"name=Zo%C3%AB+X&email=%5Bredacted%5D&Card=%5Bredacted%5D&email=%5Bredacted%5D"
    assert kept.places == ("json:email", "field:card")


def test_json_in_the_payload_of_a_form_is_blotted_out() -> None:
    body = b"payload=%7B%22user%22%3A%7B%22email%22%3A%22a%40b%22%7D%7D&email=x"
    request = WebhookRequest(
        "POST", "", (("Content-Type", FORM),), parse(["json:user.email"]).apply(post(body, {"Content-Type": FORM})).body
    )
    assert request.json == {"user": {"email": MARK}}
    assert request.form["email"] == "x"
    both = parse(["field:email"]).apply(post(body, {"Content-Type": FORM})).body
    assert b"a%40b" not in both
    assert both.endswith(b"&email=%5Bredacted%5D")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<card>4111</card>", "application/xml"),
        (b"--x\r\nContent-Disposition: form-data; name=card\r\n\r\n4111\r\n--x--", "multipart/form-data; boundary=x"),
        (b"card 4111", "text/plain"),
        (b'{"card":4111', "application/json"),
        (b"\xff\x00\x01", "application/octet-stream"),
        (b"payload={&card=4111", FORM),
        (b"card=\xff", FORM),
        (b"[" * 70 + b"4111" + b"]" * 70, "application/json"),
    ],
)
def test_of_a_body_that_cannot_be_read_nothing_is_kept(body: bytes, kind: str) -> None:
    kept = parse(["json:nowhere.at.all"]).apply(post(body, {"Content-Type": kind}))
    assert (kept.body, kept.places) == (b"", (WHOLE,))
    assert kept.problem.startswith("nothing of the body is kept, it cannot be redacted: ")
    assert "4111" not in kept.problem


def test_a_request_that_is_not_trusted_is_not_read() -> None:
    kept = parse(["json:a"]).apply(post(b'{"a":1}'), trusted=False)
    assert (kept.body, kept.places, kept.problem) == (b"", (WHOLE,), "")
    assert parse(["header:X-A"]).apply(post(b"x"), trusted=False).body == b"x"


def test_headers_and_parameters_lose_their_values() -> None:
    redaction = parse(["header:X-Customer", "query:email"])
    request = WebhookRequest("POST", "https://h/in/x?em%61il=a&b=c", (("x-customer", "7"),), b"{}")
    assert redaction.apply(request).places == ("header:X-Customer", "query:email")
    assert redaction.headers == {"x-customer", "email"}
    shown = redaction.beside([["X-Customer", "7"], ["X-B", "8"]], "em%61il=a&b=c")
    assert shown == ([["X-Customer", MARK], ["X-B", "8"]], f"em%61il={MARK}&b=c")


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("", "no place"),
        ("json:", "no place"),
        ("password", "no place"),
        ("json:a..b", "no path"),
        ("json:" + ".".join("a" * 17), "no path"),
        ("json:" + "a" * 200, "no place"),
        ("field:a\nb", "no place"),
        ("header:content-type", "how the body is read"),
        ("xml:card", "only JSON and forms are read"),
        ("multipart:card", "only JSON and forms are read"),
        ("form:card", "only JSON and forms are read"),
    ],
)
def test_what_is_no_place_is_refused_with_words(place: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse([place])


def test_there_may_be_only_so_many_places() -> None:
    with pytest.raises(UsageError, match=f"at most {MAX_PLACES}"):
        parse([f"json:a{number}" for number in range(MAX_PLACES + 1)])


ONE = {"type": "{json:kind}.{json:data.action}", "id": "header:X-Id", "time": "query:at"}
MANY = {"type": "json:kind", "id": "root:batch", "split": "entry.*.changes", "delivery": "json:name"}


@pytest.mark.parametrize(
    ("event", "place", "fits"),
    [
        (ONE, "json:kind", False),
        (ONE, "json:data", False),
        (ONE, "json:data.action", False),
        (ONE, "json:*", False),
        (ONE, "json:*.action", False),
        (ONE, "field:ACTION", False),
        (ONE, "field:data", False),
        (ONE, "header:x-id", False),
        (ONE, "query:AT", False),
        (ONE, "json:data.action.more", True),
        (ONE, "json:data.actions", True),
        (ONE, "query:X-Id", True),
        (ONE, "body", True),
        (MANY, "json:entry", False),
        (MANY, "json:entry.changes.kind", False),
        (MANY, "json:entry.*.changes.*.kind", False),
        (MANY, "json:entry.0.changes.3.kind", False),
        (MANY, "json:batch", False),
        (MANY, "json:name", False),
        (MANY, "body", False),
        (MANY, "json:entry.*.changes.*.email", True),
        ({"type": "json:type", "split": "."}, "json:*.type", False),
        ({"type": "json:type", "split": "."}, "json:type", False),
        ({"type": "json:type", "split": "."}, "json:*.email", True),
        ({"type": "json:a", "base64": "message.data"}, "json:message.data.email", False),
        ({"type": "json:a", "base64": "message.data"}, "field:email", False),
        ({"type": "json:a", "base64": "message.data"}, "json:message.data", True),
    ],
)
def test_what_the_preset_reads_cannot_be_redacted(event: dict[str, Any], place: str, fits: bool) -> None:
    rules = make(event=event).rules()
    if fits:
        parse([place]).check(rules)
        return
    with pytest.raises(UsageError, match="cannot be"):
        parse([place]).check(rules)
