"""A file is read as editors read it, its faults have places, and its size is bounded."""

from __future__ import annotations

import time

import pytest
from hub.runtime.definitions.reading import MAX_BYTES, read


def faults(text: str) -> list[str]:
    found = read(text)
    return [f"{fault.at or tuple(found.place(fault.path))} {fault.said()}" for fault in found.faults]


def test_words_and_dates_are_texts_and_only_true_and_false_are_booleans() -> None:
    text = "{a: off, b: yes, c: 2026-01-31, d: 12:30, e: 0o17, f: true, g: null, h: 012, i: 1_000, j: '1', k: 1.5e3}"
    assert read(text).value == {
        "a": "off", "b": "yes", "c": "2026-01-31", "d": "12:30", "e": "0o17", "f": True, "g": None, "h": 12,
        "i": "1_000", "j": "1", "k": 1500.0,
    }  # fmt: skip


def test_anchors_and_merge_keys_are_read_and_what_is_written_wins() -> None:
    text = "x-a: &a {n: 1, m: 2}\nx-b: &b {n: 3, o: 4}\nc:\n  <<: [*a, *b]\n  m: 5\nd: *a\n"
    assert read(text).value["c"] == {"n": 1, "m": 5, "o": 4}
    assert read(text).value["d"] == {"n": 1, "m": 2}
    assert read(text).faults == []


def test_a_key_that_is_written_twice_is_refused_where_it_stands_again() -> None:
    assert faults("a:\n  b: 1\n  c: 2\n  b: 3\n") == [
        "(4, 3) a.b: the key 'b' is written twice, first in line 2. Remove one of them."
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\nb", "(2, 2) this is not YAML"),
        (
            "a:\n\tb: 1",
            "(2, 1) this is not YAML: found character '\\t' that cannot start any token. Indent with spaces.",
        ),
        (
            "a: !!python/object:os.system x",
            "(1, 1) a: the tag tag:yaml.org,2002:python/object:os.system is not read here",
        ),
        ("a: !secret x", "(1, 1) a: the tag !secret is not read here. Write the value itself."),
        ("? [1, 2]\n: 3", "(1, 3) a key is a text, and not empty"),
        ("a: 1e999", "(1, 1) a: 1e999 is too large a number"),
        ('a: "\\0"', "(1, 1) a: it holds a NUL character"),
        ("a: *nothing", "(1, 4) this is not YAML: found undefined alias"),
        ("a: &a\n  b: *a", "(2, 3) a.b"),
        ("--- 1\n--- 2", "(2, 1) this is not YAML: but found another document"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, said: str) -> None:
    assert faults(text)[0].startswith(said)


def test_what_aliases_expand_to_is_bounded() -> None:
    bomb = "a: &a [1,2,3,4,5,6,7,8,9]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    begun = time.process_time()
    assert "holds too many values" in faults(bomb)[0]
    assert time.process_time() - begun < 20
    merged = "a: &a {x: 1}\n" + "".join(f"b{n}: &b{n} {{<<: [*a, *a]}}\n" for n in range(5))
    assert faults(merged) == []


def test_a_file_that_is_too_large_or_too_deep_is_refused() -> None:
    assert "larger than" in faults("a: " + "x" * MAX_BYTES)[0]
    assert "nested too deep" in faults("[" * 100 + "]" * 100)[0]
    assert "not YAML" in faults("[" * 20_000)[0] or "nested too deep" in faults("[" * 20_000)[0]
