"""Count the words of many files, spread over threads or over all workers: map, taken lazily and in batches.

    hub run examples/fan_out.py:words -p folder=texts         # on threads of this process
    hub queues set flows                                      # the flow waits for its batches in a queue of its own
    hub deploy examples/fan_out.py:words_on_workers --name words --queue flows
    hub up --queue flows                                      # here it runs, and its batches
    hub worker --queue default                                # on any number of these
    hub deployments run words -p folder=/shared/texts --wait

A million files take no more memory than a hundred: batches are made as others are done, and each is forgotten when it
is added. When a worker is killed, another one counts what it had not finished.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from hub import CeleryTaskRunner, as_completed, batched, create_table_artifact, flow, get_run_logger, task

WORD = re.compile(r"[^\W\d_]+")


def text_files(folder: str) -> Iterator[str]:
    """All of them, one by one, in the same order in every attempt."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (os.path.join(place, name) for name in sorted(names) if name.endswith(".txt"))


@task(retries=2, retry_delay_seconds=1, retry_on="infrastructure")
def count(files: list[str]) -> dict[str, int]:
    """How often each word stands in these files."""
    found: Counter[str] = Counter()
    for file in files:
        found.update(WORD.findall(Path(file).read_text(errors="replace").lower()))
    return dict(found)  # a Counter is no JSON, and results travel as JSON


@flow
def words(folder: str, top: int = 10, batch: int = 50) -> dict[str, int]:
    """The most frequent words below a folder."""
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    total: Counter[str] = Counter()
    for batches, future in enumerate(as_completed(count.map(batched(text_files(folder), batch))), 1):
        total.update(future.result())
        get_run_logger().info("%d batches, %d different words", batches, len(total))
    most = dict(total.most_common(top))
    create_table_artifact([{"word": word, "times": times} for word, times in most.items()], key="words")
    return most


words_on_workers = words.with_options(name="words-on-workers", task_runner=CeleryTaskRunner(queue="default", chunk=4))
