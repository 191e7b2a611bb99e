"""What goes wrong while results are gathered ends the futures that wait for them, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest
from hub.errors import UnavailableError
from hub.runtime.executor import remote

from .conftest import Plane
from .test_remote import Workers, answer
from .test_remote import code as code
from .test_remote import marks as marks
from .test_remote import workers as workers


@pytest.mark.parametrize("where", ["_ended", "_results", "_settle"])
def test_an_error_that_nobody_foresaw_is_raised_by_the_futures(
    plane: Plane, code: str, workers: Workers, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    real = getattr(remote.Gatherer, where)

    def odd(self: remote.Gatherer, *given: Any) -> Any:
        if where != "_ended" or real(self):
            raise LookupError("a row that nobody understands")
        return []

    monkeypatch.setattr(remote.Gatherer, where, odd)
    row = plane.execute(f"{code}:one")
    assert (row["state_name"], row["error_type"]) == ("Failed", "LookupError")
    assert row["error_message"] == "LookupError: a row that nobody understands"


def test_a_database_that_is_away_for_a_moment_is_asked_again(
    plane: Plane, code: str, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, away = remote.Gatherer._ended, [1, 1]

    def ended(self: remote.Gatherer) -> Any:
        if away:
            away.pop()
            raise UnavailableError("the database does not answer")
        return real(self)

    monkeypatch.setattr(remote.Gatherer, "_ended", ended)
    assert answer(plane, code, "one") == 2
    assert away == []
