"""What every result store must do, as functions of one store: for the hub's own tests and those of plugins.

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_store(check, store): check(store)

Each check uses keys of its own and leaves nothing behind.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from hub.resultstores import MAX_KEY, Kept, ResultMissing, ResultStore
from hub.types import SECOND, new_id, now_us


def what_was_put_comes_back(store: ResultStore) -> None:
    """Empty, small, binary, large; under a long key too."""
    prefix = f"{new_id()}/"
    given = {"empty": b"", "one": b"\x00", "text": "ä/\n".encode(), "large": os.urandom(3_000_000)}
    long = "k" * (MAX_KEY - len(prefix) - 2)
    given[f"{long[:200]}/{long[201:]}"] = b"long"
    for name, data in given.items():
        assert store.put(prefix + name, data), f"the first put of {name[:10]} is no news"
    for name, data in given.items():
        assert store.get(prefix + name) == data, f"{name[:10]} did not come back as it was"
    store.delete(prefix + name for name in given)


def what_stands_is_never_replaced(store: ResultStore) -> None:
    """A second put of a key says so and changes nothing."""
    key = f"{new_id()}/a"
    assert store.put(key, b"first")
    assert not store.put(key, b"second, and longer")
    assert store.get(key) == b"first"
    store.delete([key])
    assert store.put(key, b"third"), "a key that was deleted can be used again"
    store.delete([key])


def of_many_who_put_one_key_at_once_exactly_one_wins(store: ResultStore) -> None:
    """Threads that race for a key: one put says True, and its bytes stand."""
    key, won = f"{new_id()}/race", list[bytes]()
    start = threading.Barrier(4)

    def put(data: bytes) -> None:
        start.wait(30)
        if store.put(key, data):
            won.append(data)

    threads = [threading.Thread(target=put, args=(bytes([65 + number]) * 50_000,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(won) == 1, f"{len(won)} of 4 won"
    assert store.get(key) == won[0]
    store.delete([key])


def what_is_not_there_is_missing(store: ResultStore) -> None:
    """Get says ResultMissing; delete does not mind."""
    key = f"{new_id()}/nothing"
    for _ in range(2):
        try:
            store.get(key)
        except ResultMissing:
            store.delete([key])
        else:
            raise AssertionError("something that was never put came back")
    store.delete([])


def deleting_takes_those_keys_only(store: ResultStore) -> None:
    """Many at once, some of them not there; neighbours stay."""
    prefix = f"{new_id()}/"
    names = [f"{number:03d}" for number in range(20)]
    for name in names:
        store.put(prefix + name, b"x")
    store.delete([prefix + name for name in names[:-1]] + [f"{prefix}none"])
    assert [kept.key for kept in store.list(prefix)] == [prefix + names[-1]]
    store.delete([prefix + names[-1]])


def listing_pages_through_everything_in_order(store: ResultStore) -> None:
    """Prefix, order, pages, sizes and times; folders inside, names that sort around the slash."""
    prefix = f"{new_id()}/"
    names = ["a-b", "a.b", "a/1", "a/2", "a0", "b/1/x", "c"]
    before = now_us()
    for name in names:
        store.put(prefix + name, name.encode())
    found, after = list[Kept](), ""
    for _ in range(len(names) + 1):
        page = store.list(prefix, after=after, limit=3)
        found += page
        if len(page) < 3:
            break
        after = page[-1].key
    assert [kept.key for kept in found] == sorted(prefix + name for name in names)
    assert [kept.size for kept in found] == [len(kept.key) - len(prefix) for kept in found]
    # Clocks of services are their own; a day says that it is no other unit.
    assert all(abs(kept.at - before) < 86_400 * SECOND for kept in found)
    assert [kept.key for kept in store.list(f"{prefix}a/")] == [f"{prefix}a/1", f"{prefix}a/2"]
    assert store.list(f"{new_id()}/") == []
    store.delete(prefix + name for name in names)


CHECKS: tuple[Callable[[ResultStore], None], ...] = (
    what_was_put_comes_back,
    what_stands_is_never_replaced,
    of_many_who_put_one_key_at_once_exactly_one_wins,
    what_is_not_there_is_missing,
    deleting_takes_those_keys_only,
    listing_pages_through_everything_in_order,
)
