from __future__ import annotations

import json
from typing import Any

import pytest
from hub.types import SECOND
from hub.webhooks.body import BodyError
from hub.webhooks.events import (
    MAX_ITEMS,
    check_content,
    delivery_id,
    event_type,
    provider_events,
    request_data,
    safe_text,
)
from hub.webhooks.request import FORM

from .examples import make, post

BATCH = make(
    event={"type": "json:kind", "id": "json:id", "time": "json:at", "split": "items", "delivery": "header:X-Id"}
)


def test_one_request_is_one_event() -> None:
    request = post(b'{"type":"order.paid","id":7}')
    (event,) = provider_events(make(event={"type": "json:type", "id": "json:id", "time": "json:at"}), request)
    assert (event.type, event.id, event.time, event.data) == ("order.paid", "7", None, {"type": "order.paid", "id": 7})


def test_a_batch_is_one_event_for_each_item() -> None:
    items = [{"kind": "a", "id": "1", "at": 1_700_000_000}, {"kind": "b", "id": "2", "at": "2023-11-14T22:13:20Z"}]
    request = post(json.dumps({"items": items}), {"X-Id": "whole"})
    events = provider_events(BATCH, request)
    assert [(event.type, event.id, event.index) for event in events] == [("a", "1", 0), ("b", "2", 1)]
    assert {event.time for event in events} == {1_700_000_000 * SECOND}
    assert delivery_id(BATCH, request) == "whole"
    assert event_type(BATCH, request) == "a"


def test_a_batch_of_too_many_items_is_refused() -> None:
    request = post(json.dumps({"items": [1] * (MAX_ITEMS + 1)}))
    for read in (event_type, provider_events):
        with pytest.raises(BodyError, match=f"holds 1001 items, at most {MAX_ITEMS}"):
            read(BATCH, request)
    assert len(provider_events(BATCH, post(json.dumps({"items": [1] * MAX_ITEMS})))) == MAX_ITEMS


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("push", "push"),
        ("orders/create", "orders/create"),
        ("Push Hook", "Push_Hook"),
        ("a\x00b\nc", "a_b_c"),
        ("..", "event"),
        ("", "event"),
        (None, "event"),
        (["a"], "event"),
        (True, "event"),
        ("<script>", "script"),
        ("x" * 500, "x" * 128),
    ],
)
def test_a_type_becomes_a_word_fit_for_an_event(written: Any, read: str) -> None:
    assert event_type(make(), post(json.dumps({"type": written}))) == read


def test_ids_are_made_fit_for_a_column() -> None:
    assert delivery_id(make(), post(b'{"id":"a\\u0000\\ud800"}')) == "a\ufffd\ufffd"
    assert delivery_id(make(), post(json.dumps({"id": "x" * 999}))) == "x" * 256
    assert delivery_id(make(), post(b"[]")) is None
    assert safe_text("\x7f\n", 9) == "\ufffd\ufffd"


@pytest.mark.parametrize("at", [None, "", "yesterday", "2023-11-14", "9" * 30, -1, {}, 10**17, "1" * 99, True])
def test_a_time_that_is_none_is_left_out(at: Any) -> None:
    (event,) = provider_events(make(event={"time": "json:at"}), post(json.dumps({"at": at})))
    assert event.time is None


@pytest.mark.parametrize("body", [b"null", b'"x"', b"17", b"true", b"", b"<xml/>", b'{"a":NaN}'])
def test_a_json_preset_takes_only_objects_and_arrays(body: bytes) -> None:
    with pytest.raises(BodyError):
        check_content(make(), post(body))
    check_content(make(content=["any"]), post(body))


def test_forms_are_taken_where_the_preset_says_so() -> None:
    form = post("command=%2Fdeploy&text=a", {"Content-Type": FORM})
    check_content(make(content=["json", "form"]), form)
    assert request_data(form) == {"command": "/deploy", "text": "a"}
    with pytest.raises(BodyError):
        check_content(make(), form)


def test_a_body_that_is_not_json_becomes_text() -> None:
    assert request_data(post(b"\xffhello")) == {"text": "\ufffdhello"}
    with pytest.raises(BodyError):
        request_data(post(b"{", {"Content-Type": "application/json"}))


def test_several_arrays_and_lists_in_lists_are_one_batch() -> None:
    preset = make(event={"type": "{root:object}.{json:field}", "split": ["entry.*.changes", "entry.*.messaging"]})
    body = {"object": "page", "entry": [{"changes": [{"field": "feed"}]}, {"messaging": [{"field": "m"}, {}]}]}
    assert [event.type for event in provider_events(preset, post(json.dumps(body)))] == ["page.feed", "page.m", "event"]
    assert event_type(preset, post(b'{"object":"page"}')) == "event", "without items the body is the item"


def test_a_body_is_a_batch_under_its_content_type_only() -> None:
    preset = make(event={"type": ["header:ce-type", "json:type"], "split": ".", "split_content": ["application/batch"]})
    items = b'[{"type":"a"},{"type":"b"}]'
    batch = provider_events(preset, post(items, {"Content-Type": "Application/Batch; charset=utf-8"}))
    assert [event.type for event in batch] == ["a", "b"]
    (single,) = provider_events(preset, post(items, {"Content-Type": "application/json", "ce-type": "c"}))
    assert (single.type, single.data) == ("c", json.loads(items))
