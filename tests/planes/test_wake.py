from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from hub.store import Store, open_store
from hub.store.base import TOPICS


def heard(store: Store, wanted: tuple[str, ...], woken: list[str]) -> set[str]:
    """What a listener to `wanted` hears when `woken` are woken."""
    listener = store.listen(*wanted)
    try:
        store.wake(woken)
        found: set[str] = set()
        for _ in range(20):
            found |= listener.wait(0.1)
            if found >= set(woken) & set(wanted):
                break
        return found
    finally:
        listener.close()


def test_a_listener_to_every_topic_hears_each(store: Store) -> None:
    assert heard(store, TOPICS, list(TOPICS)) == set(TOPICS)


def test_a_listener_hears_only_what_it_listens_to(store: Store) -> None:
    assert heard(store, ("logs", "a-plugin-s-own"), ["runs", "logs"]) == {"logs"}
    assert heard(store, ("logs", "a-plugin-s-own"), ["runs", "a-plugin-s-own"]) == {"a-plugin-s-own"}


@pytest.mark.parametrize("length", [60, 69, 71, 100])
def test_the_length_of_the_home_does_not_matter(tmp_path: Path, length: int) -> None:
    home = tmp_path / ("h" * max(1, length - len(str(tmp_path)) - 1))
    store = open_store(f"sqlite:///{home}/hub.db")
    store.migrate()
    try:
        assert heard(store, TOPICS, ["runs", "logs"]) == {"runs", "logs"}
    finally:
        store.close()


def test_a_process_with_very_many_open_files_hears_as_well(store: Store) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[0] < 1200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1200, before[1]))
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1030)]
    try:
        assert max(many) > 1023
        assert heard(store, TOPICS, list(TOPICS)) == set(TOPICS)
    finally:
        for descriptor in many:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
