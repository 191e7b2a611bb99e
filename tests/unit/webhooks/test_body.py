from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hub.webhooks.body import MAX_DEPTH, BodyError, has_duplicate_keys, parse_form, parse_json
from hub.webhooks.request import FORM
from hypothesis import given, settings
from hypothesis import strategies as st

from .examples import post

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_ordinary_json_reads_as_python_reads_it(value: Any) -> None:
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "Infinity"),
        ('{"a": 1}'.encode("utf-16"), "UTF-8"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper"),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "deeper"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "deeper"),
        (json.dumps({str(n): n for n in range(10_001)}).encode(), "10000 keys"),
        (json.dumps([{"a": 1}] * 10_001).encode(), "10000 keys"),
    ],
    ids=lambda value: value if isinstance(value, str) else ascii(value[:12]),
)
def test_it_refuses(body: bytes, why: str) -> None:
    with pytest.raises(BodyError, match=why):
        parse_json(body)


def test_it_takes_the_deepest_and_widest_that_is_allowed() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    assert len(parse_json(json.dumps({str(n): n for n in range(10_000)}).encode()) or ()) == 10_000
    assert parse_json(json.dumps([[]] * 5_000).encode()) == [[]] * 5_000


def test_numbers_that_lose_precision_stay_text() -> None:
    digits = "1" * 5_000
    parsed = parse_json(f"[{digits}, {2**63}, {2**63 - 1}, -{2**63}, 1e400, 1.5]".encode())
    assert parsed == [digits, str(2**63), 2**63 - 1, -(2**63), "1e400", 1.5]


def test_lone_surrogates_are_replaced_and_nul_is_kept() -> None:
    parsed = parse_json(b'{"\\ud800k": ["\\udfff", "\\ud83d\\ude00", "a\\u0000b"]}')
    assert parsed == {"\ufffdk": ["\ufffd", "\U0001f600", "a\x00b"]}


def test_duplicate_keys_are_noticed_and_the_last_counts() -> None:
    assert parse_json(b'{"a": 1, "a": 2}') == {"a": 2}
    assert has_duplicate_keys(b'{"x": [{"a": 1, "a": 2}]}')
    assert not has_duplicate_keys(b'{"a": {"a": 1}}')


def test_a_byte_order_mark_is_no_harm() -> None:
    assert parse_json(b"\xef\xbb\xbf{}") == {}


def test_forms_are_read_within_limits() -> None:
    assert parse_form(b"a=1&a=2&b=%C3%A4&c") == {"a": "2", "b": "\u00e4", "c": ""}
    with pytest.raises(BodyError, match="not a form"):
        parse_form(b"a&" * 1_000_000)
    with pytest.raises(BodyError, match="UTF-8"):
        parse_form(b"\xff=1")


def test_a_form_with_a_payload_reads_as_its_json() -> None:
    form = {"Content-Type": FORM + "; charset=utf-8"}
    assert post("payload=%7B%22a%22%3A1%7D", form).json == {"a": 1}
    with pytest.raises(BodyError, match="payload"):
        _ = post("other=1", form).json


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(body: bytes) -> None:
    for parse in (parse_json, parse_form):
        with suppress(BodyError):
            parse(body)
