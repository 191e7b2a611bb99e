"""Cached calls while the database, or the store of a cached result, does not answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub import flow, task
from hub.cache_policies import INPUTS
from hub.errors import UnavailableError
from hub.runtime.executor import places
from hub.store import cache
from tests.planes.conftest import Plane
from tests.planes.test_result_stores import connect


@pytest.mark.parametrize("name", ["ask", "publish", "release"])
def test_a_database_that_is_away_for_a_moment_is_waited_for(
    plane: Plane, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    usual, away = getattr(cache, name), [True, True]

    def sometimes(*given: Any, **more: Any) -> Any:
        if away and away.pop():
            raise UnavailableError("the database does not answer")
        return usual(*given, **more)

    @task(cache_policy=INPUTS)
    def load(n: int, *, well: bool) -> int:
        if not well:
            raise ValueError(n)
        return n

    @flow
    def whole() -> int:
        return load(1, well=name != "release")

    monkeypatch.setattr(cache, name, sometimes)
    if name == "release":
        with pytest.raises(ValueError, match="1"):
            whole()
    else:
        assert whole() == 1
    assert away == []
    with plane.store.read() as tx:
        held = [row["state"] for row in tx.conn.execute(cache.TABLE.select()).mappings()]
    assert held == ([] if name == "release" else ["ready"])


def test_an_entry_whose_store_is_away_stays_for_later(
    plane: Plane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "PAUSES", (0.0,))
    disk = tmp_path / "disk"
    disk.mkdir()
    connect(plane, "disk", "files", {"path": str(disk)})
    calls: list[int] = []

    @task(cache_policy=INPUTS, result_store="disk")
    def load(n: int) -> int:
        calls.append(n)
        return n

    @flow
    def whole() -> int:
        return load(1)

    assert whole() == 1
    disk.rename(tmp_path / "gone")
    with pytest.raises(UnavailableError, match="result store disk"):
        whole()
    (tmp_path / "gone").rename(disk)
    assert whole() == 1
    # Once in the outage, when its result could not be kept either.
    assert calls == [1, 1]
