"""`map` over iterators: consumed as the calls go, each future given once, the same steps in every attempt."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest
from hub import allow_failure, as_completed, batched, flow, lazy, task, unmapped
from hub.errors import RunFailed, UsageError
from hub.sdk import Futures, FutureStream
from hub.sdk.futures import Future

from .conftest import Plane


@task
def double(n: int, plus: int = 0) -> int:
    return n * 2 + plus


@task
async def later(n: int) -> int:
    await asyncio.sleep(0)
    return n + 1


@task
def total(parts: list[int]) -> int:
    return sum(parts)


@task
def picky(n: int) -> int:
    if n % 5 == 3:
        raise ValueError(f"not {n}")
    return n


class Source:
    """An iterator that knows how far it was taken."""

    def __init__(self, length: int | None = None) -> None:
        self.given = 0
        self.closed = False
        self._length = length

    def items(self) -> Iterator[int]:
        try:
            for number in count() if self._length is None else range(self._length):
                self.given += 1
                yield number
        finally:
            self.closed = True


def test_an_endless_iterator_is_taken_as_its_futures_are(plane: Plane) -> None:
    source = Source()

    @flow(max_threads=2)
    def whole() -> list[int]:
        stream = double.map(source.items(), unmapped(1))
        assert isinstance(stream, FutureStream)
        assert source.given == 8, "four for each thread"
        found = []
        for future in stream:
            assert future.done()
            found.append(future.result())
            assert source.given == 8 + len(found)
            if len(found) == 20:
                break
        stream.close()
        return found

    assert whole() == [2 * n + 1 for n in range(20)]
    assert source.closed
    assert len(plane.tasks()) == source.given == 28


def test_a_whole_iterator_has_its_results_in_order(plane: Plane) -> None:
    @flow
    def whole() -> tuple[Any, ...]:
        return (
            double.map(n for n in range(300)).result(),
            double.map(lazy(range(5), window=2), plus=iter(range(5))).result(),
            later.map(iter(range(3))).result(),
            double.map(iter(())).result(),
            double.map(lazy([])).wait(),
        )

    assert whole() == ([2 * n for n in range(300)], [3 * n for n in range(5)], [1, 2, 3], [], True)
    assert {row["state_name"] for row in plane.tasks()} == {"Completed"}


def test_as_completed_does_not_wait_for_the_slow_ones(plane: Plane) -> None:
    release, ended = threading.Event(), []

    @task
    def waits(n: int) -> int:
        if n == 0:
            assert release.wait(20)
        return n

    @flow(max_threads=2)
    def whole() -> None:
        for future in as_completed(waits.map(iter(range(50)))):
            ended.append(future.result())
            if len(ended) == 49:
                release.set()

    whole()
    assert ended[-1] == 0
    assert sorted(ended) == list(range(50))


def test_calls_get_batches(plane: Plane) -> None:
    @flow
    def whole() -> tuple[Any, ...]:
        sized, unsized = total.map(batched(range(10), 4)), total.map(batched(iter(range(10)), 4))
        assert isinstance(sized, Futures)
        assert len(sized) == len(batched({1, 2, 3}, 2)) + 1 == 3
        assert isinstance(unsized, FutureStream)
        return sized.result(), unsized.result(), total.map(lazy(batched([1, 2, 3], 2))).result()

    assert whole() == ([6, 22, 17], [6, 22, 17], [3, 3])


def test_maps_over_maps_go_hand_in_hand(plane: Plane) -> None:
    source = Source(40)

    @flow(max_threads=2)
    def whole() -> int:
        second = later.map(double.map(source.items()))
        assert source.given < 40
        return sum(second.result())

    assert whole() == sum(2 * n + 1 for n in range(40))
    upstream = [
        json.loads(str(row["upstream"])) if isinstance(row["upstream"], str) else row["upstream"]
        for row in plane.tasks()
    ]
    assert sum(map(bool, upstream)) == 40


def test_an_iterator_that_raises_does_so_after_what_came_before(plane: Plane) -> None:
    def broken() -> Iterator[int]:
        yield from range(30)
        raise LookupError("page 30 is gone")

    @flow(max_threads=2)
    def whole() -> list[int]:
        found: list[int] = []
        with pytest.raises(LookupError, match="page 30 is gone") as raised:
            found.extend(future.result() for future in double.map(broken()))
        assert raised.value.__notes__ == ["raised while double.map took its elements"]
        for take in (lambda s: s.result(), lambda s: s.wait(), lambda s: list(as_completed(s))):
            with pytest.raises(LookupError):
                take(double.map(broken()))
        return found

    assert whole() == [2 * n for n in range(30)]
    assert len(plane.tasks()) == 4 * 30
    assert {row["state_name"] for row in plane.tasks()} == {"Completed"}


def test_iterators_of_different_lengths_are_told_apart(plane: Plane) -> None:
    @flow
    def whole() -> None:
        for first, second in ((iter(range(3)), [1, 2, 3, 4]), (iter(range(4)), iter([1, 2, 3]))):
            stream = double.map(first, plus=second)
            assert [next(stream).result() for _ in range(3)] == [1, 4, 7]
            with pytest.raises(UsageError, match=r"lengths: (n|plus) ended after 3, (plus|n) did not"):
                next(stream)
            assert list(stream) == []

    whole()


def test_failures_are_each_their_own(plane: Plane) -> None:
    source = Source()

    @flow(max_threads=2)
    def whole() -> list[str]:
        with pytest.raises(ValueError, match="not 3"):
            picky.map(source.items()).result()
        assert source.closed
        some = picky.map(iter(range(10))).result(raise_on_failure=False)
        forgiven = later.map(allow_failure(iter([1]))).result()
        assert forgiven == [2]
        refused = later.map(picky.map(iter([3]))).result(raise_on_failure=False)
        assert isinstance(refused[0], RunFailed)
        return [str(value) for value in some]

    assert whole() == ["0", "1", "2", "not 3", "4", "5", "6", "7", "not 8", "9"]


@pytest.mark.parametrize("is_async", [False, True])
def test_what_nobody_takes_is_made_before_the_flow_ends(plane: Plane, is_async: bool) -> None:
    first, second = Source(100), Source(100)

    @flow
    def sync() -> None:
        double.map(first.items())
        later.map(second.items())

    @flow
    async def on_loop() -> None:
        double.map(first.items())
        later.map(second.items())

    asyncio.run(on_loop()) if is_async else sync()  # type: ignore[func-returns-value]
    assert (first.given, second.given) == (100, 100)
    assert first.closed
    assert len(plane.tasks()) == 200


def test_an_error_that_nobody_took_fails_the_flow(plane: Plane) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError("gone")

    with pytest.raises(LookupError):
        flow(lambda: double.map(broken()))()
    assert [row["state_name"] for row in plane.tasks()] == ["Completed"]


def test_a_flow_that_fails_takes_no_more(plane: Plane) -> None:
    source = Source()

    @flow
    def whole() -> None:
        double.map(source.items())
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        whole()
    assert source.closed


def test_async_flows_iterate_without_blocking_their_loop(plane: Plane) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    @flow
    async def whole() -> list[int]:
        found = [await future async for future in later.map(n for n in range(200))]
        found += [await future async for future in double.map(lazy([5]))]
        with pytest.raises(UsageError, match="would block the event loop"):
            later.map(iter([1])).result()
        with pytest.raises(UsageError, match="nothing to iterate"):
            later.map(numbers())
        return found

    assert asyncio.run(whole()) == [*range(1, 201), 10]


def test_a_stream_is_a_flow_s_result_but_no_task_s_argument(plane: Plane) -> None:
    @flow
    def whole() -> Any:
        with pytest.raises(UsageError, match="passed to a task as it is"):
            total.submit([double.map(iter([1]))])
        return double.map(iter([1, 2]))

    @flow
    async def on_loop() -> Any:
        return later.map(iter([1, 2]))

    assert whole() == [2, 4]
    assert asyncio.run(on_loop()) == [2, 3]


def test_a_new_attempt_finds_each_element_s_step(plane: Plane) -> None:
    file = plane.file("""
@task
def once(n):
    with Path(os.environ["HUB_HOME"], "made").open("a") as file:
        print(n, file=file)
    return n

def elements(attempt):
    for n in range(40):
        once(n)  # beside the map: counted on its own
        if n == 30 and attempt == 1:
            raise OSError("connection lost")
        yield n % 7

@flow(retries=1, max_threads=2)
def whole():
    return sum(once.map(elements(runtime_context().attempt)).result())
""")
    run_id = plane.run(f"{file}:whole", retry_policy={"retries": 1})
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "AwaitingRetry", plane.row(run_id)
    plane.attempt(run_id)
    row = plane.row(run_id)
    assert (row["state_name"], row["result"]) == ("Completed", str(sum(n % 7 for n in range(40))).encode())
    made = (plane.settings.home / "made").read_text().split()
    assert len(made) == len(plane.tasks()) == 80, "each step once"


@pytest.mark.long("sqlite")
def test_processes_take_lazily_too(plane: Plane) -> None:
    file = plane.file("""
@task
def who(n):
    return [os.getpid(), n]

@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def whole():
    stream = who.map(iter(range(12)))
    assert repr(stream) == "<FutureStream of 4 or more calls, 4 not taken>", stream
    found = [future.result() for future in stream]
    return [pid != os.getpid() for pid, _ in found], [n for _, n in found]
""")
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "Completed", row["error_trace"]
    assert str([True] * 12).lower().replace(" ", "").encode() in row["result"]
    assert str(list(range(12))).replace(" ", "").encode() in row["result"]


@pytest.mark.long("postgresql")
def test_nothing_of_what_was_taken_is_kept(plane: Plane) -> None:
    class Heavy:
        pass

    seen: list[weakref.ref[Heavy]] = []

    @task(persist=False)
    def heavy(_n: int) -> Heavy:
        made = Heavy()
        seen.append(weakref.ref(made))
        return made

    @flow(max_threads=2)
    def whole() -> None:
        for number, future in enumerate(as_completed(heavy.map(iter(range(60))))):
            assert isinstance(future.result(), Heavy)
            del future
            if number % 20 == 19:
                gc.collect()
                assert sum(ref() is not None for ref in seen) <= 8 + 2, number
        for _ in range(60):
            heavy.submit(1).wait()
        gc.collect()
        assert sum(ref() is not None for ref in seen) <= 4

    whole()


class Array:
    """As those of numpy and pandas: compared they give another one, which has no truth."""

    def __eq__(self, _other: object) -> Array:  # type: ignore[override]
        return self

    def __bool__(self) -> bool:
        raise ValueError("the truth of an array is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_elements_may_be_arrays(plane: Plane) -> None:
    @task
    def kind(value: Array) -> str:
        return type(value).__name__

    @flow
    def whole() -> list[str]:
        return kind.map([Array(), Array()]).result() + kind.map(iter([Array()])).result()

    assert whole() == ["Array"] * 3


def test_bad_inputs_are_refused(plane: Plane) -> None:
    for call in (
        lambda: lazy(3),  # type: ignore[arg-type]
        lambda: lazy([1], window=0),
        lambda: batched([1], 0),
        lambda: batched([1], True),
        lambda: batched(3, 1),  # type: ignore[call-overload]
        lambda: batched(lazy([1]), 1),  # type: ignore[call-overload]
        lambda: flow(lambda: double.map(range(1_000_001)))(),
        lambda: double.map(iter([1]), nothing=1).result(),
    ):
        with pytest.raises((UsageError, TypeError)):
            call()


def test_outside_a_flow_it_is_lazy_too() -> None:
    stream = double.map(iter(range(3)))
    assert isinstance(next(stream), Future)
    assert stream.result() == [2, 4]
    assert "3 calls, 0 not taken" in repr(stream)
