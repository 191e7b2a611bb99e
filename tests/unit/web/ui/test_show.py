from __future__ import annotations

import pytest
from hub.types import SECOND
from hub.web.ui import show

HOUR = 3600 * SECOND
NOW = 1_800_000_000 * SECOND


@pytest.mark.parametrize(
    ("micros", "words"),
    [
        (None, "–"), (0, "0 ms"), (-5, "0 ms"), (340_000, "340 ms"), (2_400_000, "2.4 s"), (59 * SECOND, "59 s"),
        (192 * SECOND, "3 min 12 s"), (HOUR, "1 h"), (HOUR + 300 * SECOND, "1 h 5 min"), (24 * HOUR, "1 day"),
        (51 * HOUR, "2 days 3 h"),
    ],
)  # fmt: skip
def test_durations_have_at_most_two_units(micros: int | None, words: str) -> None:
    assert show.duration(micros) == words


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (0, "just now"),
        (40 * SECOND, "40 s ago"),
        (HOUR * 2, "2 h ago"),
        (-4 * HOUR, "in 4 h"),
        (48 * HOUR, "2 days ago"),
    ],
)
def test_relative_times_keep_the_exact_one_beside(distance: int, words: str) -> None:
    html = show.ago(NOW - distance, NOW)
    assert f">{words}</time>" in html
    assert 'datetime="20' in html
    assert "UTC" in html


@pytest.mark.parametrize("at", [2**62, -(2**62), 10**20])
def test_impossible_times_break_nothing(at: int) -> None:
    for make in (show.ago, show.clock, show.stamp):
        assert make(at)


def test_sizes_numbers_and_nouns() -> None:
    assert [show.size(count) for count in (None, 512, 1536, 5 * 2**20, 3 * 2**30)] == [
        "0 B", "512 B", "1.5 KiB", "5.0 MiB", "3.0 GiB"
    ]  # fmt: skip
    assert show.number(1_234_567) == "1\u202f234\u202f567"
    assert show.plural(1, "retry", "retries") == "1 retry"
    assert show.plural(2, "retry", "retries") == "2 retries"


def test_long_texts_say_what_is_missing() -> None:
    assert show.cut("short") == "short"
    assert show.cut("x" * 30, 10) == "x" * 10 + "\n… 20 more characters"


def test_bytes_are_text_only_when_a_person_can_read_them() -> None:
    assert show.readable(b'{"a": "\xc3\xa9"}\n') == '{"a": "é"}\n'
    assert show.readable(b"\x00\x01") is None
    assert show.readable(b"\xff\xfe") is None


def test_a_hex_dump_shows_every_byte() -> None:
    dump = show.hexdump(b"GET /\x00\xff" + bytes(12))
    assert dump.splitlines()[0].startswith("00000000  47 45 54 20 2f 00 ff 00  00")
    assert dump.splitlines()[0].endswith("GET /···········")
    assert dump.splitlines()[1].startswith("00000010  00 00 00")


@pytest.mark.parametrize(
    ("value", "format_", "shown"),
    [
        (b'{"a":1}', "json", '{\n  "a": 1\n}'), (b"[1]", "json+tags", "[\n  1\n]"), (b"{", "json", "{"),
        (b'{"key":"x"}', "lake:json", 'in the result store lake, as json: {"key":"x"}'),
        (b"\x80\x04", "pickle", "2 B of pickle"),
    ],
)  # fmt: skip
def test_results_are_shown_by_their_format(value: bytes, format_: str, shown: str) -> None:
    assert show.result(value, format_) == shown
