"""Pack a large file into gzip parts, line by line, in memory that does not grow with it.

    hub run examples/stream_file.py:pack -p file=access.log -p folder=parts
    hub deploy examples/stream_file.py:pack --name pack

A generator task gives the parts one by one; `map` takes them as the threads write them, and keeps none. A bar on the
run's page shows how far it is. After a kill the file is read again, but parts that were written are not written again.
"""

from __future__ import annotations

import gzip
import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hub import (
    ThreadPoolTaskRunner,
    create_progress_artifact,
    flow,
    get_run_logger,
    lazy,
    task,
    unmapped,
    update_progress_artifact,
)


@task(persist=False)
def parts_of(file: str, lines: int) -> Iterator[tuple[int, list[bytes]]]:
    """So many lines at a time, numbered. `persist=False`: they are in the file, the journal needs not keep them."""
    with open(file, "rb") as source:
        number = 0
        while part := list(islice(source, lines)):
            number += 1
            yield number, part


@task(retries=2, retry_delay_seconds=1, retry_on="infrastructure")
def write(numbered: tuple[int, list[bytes]], folder: str) -> dict[str, int]:
    """Write a part, under its name only when it is whole, so that a repeated step leaves the same."""
    number, part = numbered
    target = Path(folder) / f"part-{number:05}.gz"
    unfinished = target.with_suffix(".unfinished")
    with gzip.open(unfinished, "wb", compresslevel=6) as out:
        out.writelines(part)
    os.replace(unfinished, target)
    return {"lines": len(part), "bytes": sum(map(len, part))}


@flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
def pack(file: str, folder: str, lines: int = 50_000) -> dict[str, int]:
    """How many parts, lines and bytes there were."""
    size = os.stat(file).st_size
    Path(folder).mkdir(parents=True, exist_ok=True)
    bar = create_progress_artifact(0, key="packed", description=f"**{Path(file).name}**, {size:,} bytes")
    done: Counter[str] = Counter(parts=0, lines=0, bytes=0)
    for future in write.map(lazy(parts_of(file, lines), window=4), unmapped(folder)):
        done.update(future.result(), parts=1)
        update_progress_artifact(bar, 100 * done["bytes"] / size)
    get_run_logger().info("%d parts, %d lines, %d bytes", *done.values())
    return dict(done)
