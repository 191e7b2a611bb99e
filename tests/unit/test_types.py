from __future__ import annotations

import uuid

from hub.types import dated_id, derived_id, new_id

BASE = "018f0000-0000-7000-8000-000000000001"


def test_a_dated_id_is_the_same_each_time_and_has_its_place_among_new_ones() -> None:
    before = new_id()
    at = (int(before.replace("-", "")[:12], 16) + 1) * 1000
    made = dated_id(at, BASE, "tick", "1")
    assert made == dated_id(at, BASE, "tick", "1")
    assert made != dated_id(at, BASE, "tick", "2")
    assert uuid.UUID(made).version == 7
    assert before < made < dated_id(at + 1000, BASE, "tick", "1")


def test_a_thing_may_be_dated_by_the_id_of_another() -> None:
    first, later = new_id(), dated_id(4_000_000_000_000_000, BASE)
    assert dated_id(first, BASE, "a")[:13] == first[:13]
    assert dated_id(first, BASE, "a") < dated_id(later, BASE, "a")
    assert uuid.UUID(dated_id(first, BASE, "a")).variant == uuid.RFC_4122


def test_an_id_without_a_date_gives_none() -> None:
    old = derived_id(BASE, "old")
    assert dated_id(old, BASE, "a") == derived_id(BASE, "a")


def test_any_time_makes_an_id() -> None:
    for at in (-1, 0, 2**63 - 1):
        assert uuid.UUID(dated_id(at, BASE)).version == 7
