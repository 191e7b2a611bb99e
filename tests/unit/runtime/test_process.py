"""Processes that leave no orphans, and pids that are told apart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hub.runtime import process


def wait_until(check: object, timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not check():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """In an interpreter of its own: forking inside pytest would fork its threads."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_process_knows_itself() -> None:
    me = process.identity()
    assert me.pid == os.getpid()
    assert process.Identity.parse(str(me)) == me
    assert not process.known_dead(me)


def test_a_reused_pid_is_not_the_same_process() -> None:
    me = process.identity()
    earlier = process.Identity(me.host, me.boot_id, me.pid, "1")
    assert process.known_dead(earlier)


def test_a_process_of_another_machine_is_never_known_to_be_dead() -> None:
    assert not process.known_dead(process.Identity("elsewhere", "another-boot", 2**22 + 1, "1"))
    assert not process.known_dead(process.Identity(process.identity().host, "another-boot", 2**22 + 1, "1"))


def test_a_zombie_counts_as_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    wait_until(lambda: not process.alive(child.pid))
    assert child.wait(10) == 0


def test_a_text_that_is_no_identity_is_refused() -> None:
    assert process.Identity.parse("host|boot|x|1") is None
    assert process.Identity.parse("") is None


def test_a_forked_child_starts_with_clean_signals_and_gives_its_answer_as_status() -> None:
    done = run_python("""
        import os, signal
        from hub.runtime import process
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        def child():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
            return 75
        pid = process.fork(child)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 75
        assert signal.SIGUSR1 in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    """)
    assert done.returncode == 0, done.stderr


def test_a_child_that_raises_prints_the_error_and_ends_with_one() -> None:
    done = run_python("""
        import os
        from hub.runtime import process
        pid = process.fork(lambda: 1 / 0)
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    """)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's death signal is Linux's")
def test_a_child_and_its_child_die_with_a_killed_parent(tmp_path: Path) -> None:
    code = f"""
        import os, time
        from hub.runtime import process
        def grandchild():
            open({str(tmp_path / "pids")!r}, "a").write(f"{{os.getpid()}}\\n")
            time.sleep(60)
        def child():
            process.fork(grandchild)
            open({str(tmp_path / "pids")!r}, "a").write(f"{{os.getpid()}}\\n")
            time.sleep(60)
        process.fork(child)
        time.sleep(60)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    try:
        noted = tmp_path / "pids"
        wait_until(lambda: noted.exists() and noted.read_text().count("\n") == 2)
        parent.kill()
        parent.wait(10)
        for pid in map(int, noted.read_text().split()):
            wait_until(lambda pid=pid: not process.alive(pid))
    finally:
        parent.kill()
        parent.wait(10)


def test_ending_asks_first_and_kills_after_the_grace() -> None:
    done = run_python("""
        import os, signal, time
        from hub.runtime import process
        reader, writer = os.pipe()
        def stubborn():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.write(writer, b"x")
            time.sleep(3600)
        pids = [process.fork(stubborn), process.fork(lambda: time.sleep(3600))]
        assert os.read(reader, 1) == b"x"
        statuses = process.end(pids, grace=0.5)
        assert statuses == {pids[0]: -signal.SIGKILL, pids[1]: -signal.SIGTERM}, statuses
    """)
    assert done.returncode == 0, done.stderr


def test_signals_are_read_and_pokes_wake() -> None:
    done = run_python("""
        import os, signal, threading
        from hub.runtime.process import Signals
        signals = Signals(signal.SIGTERM, signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert signals.wait(3600) == ({signal.SIGUSR1}, set())
        assert signals.wait(0) == (set(), set())
        threading.Timer(0.05, signals.poke).start()
        assert signals.wait(3600) == (set(), set())
        reader, writer = os.pipe()
        os.write(writer, b"x")
        assert signals.wait(3600, reader) == (set(), {reader})
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
        far = max([os.dup(reader) for _ in range(1030)])
        assert far > 1023
        assert signals.wait(3600, far) == (set(), {far})
        os.read(reader, 1)
        os.close(writer)
        assert signals.wait(3600, far) == (set(), {far})  # that it was closed is news, too
    """)
    assert done.returncode == 0, done.stderr


def test_signals_wait_survives_a_signal_storm() -> None:
    assert signal.SIGUSR1  # a full wake-up pipe must not print or raise
    done = run_python("""
        import os, signal
        from hub.runtime.process import Signals
        signals = Signals(signal.SIGUSR1)
        for _ in range(70000):
            signals.poke()
        os.kill(os.getpid(), signal.SIGUSR1)
        while signals.wait(0.05) != (set(), set()):
            pass
    """)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_forked_child_says_its_own_start_whatever_its_parent_noted() -> None:
    done = run_python(
        """
        import os
        from hub.runtime import process
        before = process.identity()
        pid = os.fork()
        if not pid:
            noted = process._own_start.cache_info().currsize
            me = process.identity()
            good = noted == 0 and me.pid == os.getpid() != before.pid and me.pid_started == process.started(me.pid)
            os._exit(0 if good else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )
    assert done.stdout.strip() == "0", done.stderr


def test_one_heap_for_all_threads_can_be_asked_for_anywhere() -> None:
    done = run_python("from hub.runtime import process; process.share_heap(); print('went on')")
    assert done.stdout.strip() == "went on", done.stderr
