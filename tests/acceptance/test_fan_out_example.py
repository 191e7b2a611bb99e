"""The fan-out example: words are counted on threads, and on two workers of which one is killed."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.conftest import Site, wait_until
from tests.acceptance.typed import EXAMPLES, given, hub, logged, rows, run_example

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
TEXT = "The tea, the cake: tea!"
ONCE = Counter({"the": 2, "tea": 2, "cake": 1})


def _texts(folder: Path, count: int) -> Path:
    (folder / "more").mkdir(parents=True)
    for number in range(count):
        ((folder / "more" if number % 2 else folder) / f"{number:03}.txt").write_text(TEXT)
    (folder / "no-text.csv").write_text("tea")
    return folder


def _times(count: int) -> dict[str, int]:
    return {word: times * count for word, times in ONCE.items()}


def test_it_counts_the_words_of_all_files_below_a_folder(site: Site, tmp_path: Path) -> None:
    assert run_example(site, "fan_out.py:words", folder=_texts(tmp_path / "texts", 30), batch=4) == _times(30)
    (run,) = rows(site)
    assert "8 batches, 3 different words" in logged(site, run["id"])
    told = hub(site, "run", str(EXAMPLES / "fan_out.py:words"), "-p", "folder=nowhere", fails=True)
    assert "there is no folder nowhere" in told


def test_a_killed_worker_s_batches_are_counted_by_the_other(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site = make_site(HUB_LEASE="10", HUB_LEASE_RENEW="2")
    folder = _texts(tmp_path / "texts", 30)
    # Two files whose text is not there yet: both workers stand before one of them.
    late = [folder / "001.txt", folder / "more" / "zz.txt"]
    for file in late:
        os.mkfifo(file)
    site.up("--queue", "flows", "--slots", "1")
    hub(site, "queues", "set", "flows")
    hub(site, "deploy", str(EXAMPLES / "fan_out.py:words_on_workers"), "--name", "words", "--queue", "flows")
    workers = [site.start("worker", "--slots", "1", "--queue", "default") for _ in range(2)]
    site.wait_ready(3)
    hub(site, "deployments", "run", "words", *given({"folder": folder, "batch": 2}))
    pens = [wait_until(lambda file=file: _pen(file), 60, site.logs()) for file in late]
    os.kill(workers[0].pid, signal.SIGKILL)
    (lost,) = wait_until(lambda: [pen for pen in pens if not _read(pen)], 60, site.logs())
    # The other worker is let go, and comes to the lost one's chunk when it has done its own.
    for pen in sorted(pens, key=lambda pen: pen == lost):
        wait_until(lambda pen=pen: _read(pen), 60, site.logs())
        os.write(pen, TEXT.encode())
        os.close(pen)
    (run,) = [run for run in rows(site, "words-on-workers") if run["parent_run_id"] is None]
    site.wait_ended([run["id"]])
    row = site.row(run["id"])
    assert row["state_name"] == "Completed", row["error_message"]
    assert json.loads(row["result"]) == _times(32)
    attempts = [chunk["attempt"] for chunk in rows(site) if chunk["parent_run_id"] == run["id"]]
    assert sorted(attempts) == [1, 1, 1, 2], "one chunk was begun again, by the other worker"


def _pen(file: Path) -> int | None:
    """To write to a file with, when somebody reads it."""
    try:
        return os.open(file, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def _read(pen: int) -> bool:
    """Whether somebody reads what is written."""
    poll = select.poll()
    poll.register(pen, select.POLLERR)
    return not poll.poll(0)
