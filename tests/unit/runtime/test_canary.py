"""The canary: a lost message is told from a broker that is away."""

from __future__ import annotations

import threading

import pytest
from hub.errors import UnavailableError
from hub.runtime import canary
from hub.runtime.canary import Canary
from hub.types import Id


class Line:
    """A broker between us and a worker: it delivers, loses, or is away."""

    def __init__(self) -> None:
        self.mode = "delivers"
        self.canary_: Canary | None = None

    def canary(self, _worker_id: Id, number: int) -> None:
        if self.mode == "away":
            raise UnavailableError("the broker does not answer")
        if self.mode == "delivers":
            assert self.canary_ is not None
            threading.Timer(0.01, self.canary_.seen, (number,)).start()


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr(canary, "_LEAST_WAIT", 0.05)
    return Line()


@pytest.fixture
def bird(line: Line) -> Canary:
    line.canary_ = Canary(line, "worker", 0.05)  # type: ignore[arg-type]
    return line.canary_


def test_an_answer_is_noted(bird: Canary) -> None:
    bird.once()
    assert not bird.lost
    assert bird.seen_at is not None
    assert bird.sent_at is not None


def test_two_lost_in_a_row_are_a_broken_line(bird: Canary, line: Line) -> None:
    line.mode = "loses"
    bird.once()
    assert not bird.lost, "one may have been lost with the broker's memory"
    bird.once()
    assert bird.lost


def test_a_broker_that_is_away_is_waited_for(bird: Canary, line: Line) -> None:
    line.mode = "loses"
    bird.once()
    line.mode = "away"
    for _ in range(5):
        bird.once()
    assert not bird.lost
    line.mode = "delivers"
    bird.once()
    assert not bird.lost


def test_an_old_answer_does_not_count_for_a_new_canary(bird: Canary, line: Line) -> None:
    line.mode = "loses"
    bird.once()
    bird.seen(0)
    bird.once()
    assert bird.lost
