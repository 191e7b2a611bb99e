"""Time limits by signal and by thread."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hub.runtime.executor import limits
from hub.runtime.executor.limits import Expired, limited


def quietly() -> None:
    """Nothing was tainted."""


def in_thread(call: Callable[[], Any]) -> Any:
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call())
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    return found[0]


def test_a_call_within_its_limit_gives_its_value_or_raises_its_error() -> None:
    def wrong() -> None:
        raise KeyError("x")

    assert limited(lambda: 5, 10, taint=quietly) == 5
    assert in_thread(lambda: limited(lambda: 5, 10, taint=quietly)) == 5
    with pytest.raises(KeyError):
        limited(wrong, 10, taint=quietly)
    assert isinstance(in_thread(lambda: limited(wrong, 10, taint=quietly)), KeyError)


def test_handlers_and_timers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(Expired):
        limited(lambda: time.sleep(20), 0.05, taint=quietly)
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert limits._stack == []


def test_the_inner_limit_ends_first_and_the_outer_one_still_holds() -> None:
    steps: list[str] = []

    def inner() -> None:
        with pytest.raises(Expired):
            limited(lambda: time.sleep(20), 0.05, taint=quietly)
        steps.append("inner ended")
        time.sleep(20)
        steps.append("not reached")

    with pytest.raises(Expired):
        limited(inner, 0.4, taint=quietly)
    assert steps == ["inner ended"]


def test_an_outer_limit_ends_a_longer_inner_one() -> None:
    # Were it not ended, the sleep would be over before the inner limit, and nothing raised.
    with pytest.raises(Expired):
        limited(lambda: limited(lambda: time.sleep(20), 3600, taint=quietly), 0.1, taint=quietly)


def test_code_that_swallows_its_interruption_is_interrupted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_AGAIN", 0.1)
    swallowed: list[int] = []

    def stubborn() -> None:
        for _ in range(3):
            try:
                time.sleep(20)
            except BaseException:
                swallowed.append(1)
        time.sleep(20)

    with pytest.raises(Expired):
        limited(stubborn, 0.05, taint=quietly)
    assert len(swallowed) == 3


def test_a_thread_that_is_given_up_taints_and_stops_at_its_next_line() -> None:
    release, tainted, after = threading.Event(), list[int](), list[int]()
    threads: list[threading.Thread] = []

    def blocks() -> None:
        threads.append(threading.current_thread())
        release.wait()
        after.append(1)

    try:
        error = in_thread(lambda: limited(blocks, 0.1, taint=lambda: tainted.append(1)))
        assert isinstance(error, Expired)
        assert threads[0].is_alive()  # it was not waited for
        assert tainted == [1]
    finally:
        release.set()
    threads[0].join(60)
    assert not threads[0].is_alive()
    assert after == []


def test_giving_up_a_thread_gives_up_what_it_waits_for() -> None:
    release, after = threading.Event(), list[int]()
    threads: list[threading.Thread] = []

    def inner() -> None:
        threads.append(threading.current_thread())
        release.wait(20)
        after.append(1)

    error = in_thread(lambda: limited(lambda: limited(inner, 15, taint=quietly), 0.1, taint=quietly))
    assert isinstance(error, Expired)
    release.set()
    threads[0].join(10)
    assert after == []


_STOPPED = """
import threading, time
from hub.runtime.executor.limits import Expired, limited
for _ in range(8):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
def sleeps():
    print("begins", flush=True)
    time.sleep(60)
try:
    limited(sleeps, 1, taint=lambda: None)
except Expired:
    print("expired" if time.monotonic() < begun + 50 else "too late")
"""


def test_a_limit_holds_in_a_process_that_was_stopped_when_it_ran_out() -> None:
    code = f"import time\nbegun = time.monotonic()\n{_STOPPED}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=100)[0] == "expired\n"
