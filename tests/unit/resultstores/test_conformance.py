"""One suite for every result store, on the real thing: files, PostgreSQL, servers that speak S3, Azure's, Google's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hub.resultstores import ResultStore
from hub.resultstores.memory import MemoryResults
from hub.testing.resultstores import CHECKS, what_stands_is_never_replaced


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_store_conforms(check: Callable[[ResultStore], None], result_store: ResultStore) -> None:
    check(result_store)


def test_the_suite_catches_a_store_that_replaces() -> None:
    class Careless(MemoryResults):
        def put(self, key: str, data: bytes) -> bool:
            self.delete([key])
            return super().put(key, data)

    with pytest.raises(AssertionError):
        what_stands_is_never_replaced(Careless())
