"""The saga example: a trip is booked whole, or cancelled in reverse order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub.runtime.loader import load_flow

EXAMPLE = Path(__file__).parents[2] / "examples/saga.py"


def test_it_books_all_or_cancels_in_reverse_order(tmp_path: Path) -> None:
    trip = load_flow(f"{EXAMPLE}:trip")
    flight, hotel = trip(folder=str(tmp_path))
    assert [path.name for path in (tmp_path / "flights").iterdir()] == [flight]
    assert [path.name for path in (tmp_path / "hotels").iterdir()] == [hotel]
    with pytest.raises(ValueError, match="the card's limit is 500, the trip costs 800"):
        trip(folder=str(tmp_path), amount=800)
    assert (tmp_path / "cancelled").read_text().split() == ["hotels", "flights"]
    assert len(list((tmp_path / "flights").iterdir())) == len(list((tmp_path / "hotels").iterdir())) == 1
