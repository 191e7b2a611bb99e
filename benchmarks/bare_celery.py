"""Floor of everything that goes over the broker: Celery with one prefork child, nothing stored, on its own Valkey."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from celery import Celery

ROOT = Path(__file__).parents[1]
app = Celery("bare", broker=os.environ.get("BARE_BROKER", "memory://"))
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)


@app.task
def note(folder: str, name: str) -> None:
    """Write down when the first line ran."""
    at = time.time()
    file = Path(folder, f"{name}.part")
    file.write_text(repr(at))
    file.rename(Path(folder, name))


class BareCelery:
    """A broker and a worker while it is open. Raises RuntimeError where there is no Valkey for this machine."""

    def __enter__(self) -> Self:
        from hub.runtime.broker import binary

        program = binary()
        if program is None:
            raise RuntimeError("there is no Valkey for this machine")
        self._folder = tempfile.TemporaryDirectory(prefix="hub-bench-")
        self.notes = Path(self._folder.name, "notes")
        self.notes.mkdir()
        path = f"{self._folder.name}/v.sock"
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        options = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", self._folder.name]
        self._processes = [subprocess.Popen([str(program), *options], **quiet)]
        url = f"redis+socket://{path}"
        # A sender of its own: `app` keeps the connections of the first broker it sent to, which is gone the next time.
        self._sender = Celery("sender", broker=url, set_as_current=False)
        self._sender.conf.task_ignore_result = True
        self._processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "benchmarks.bare_celery", "worker", "-c", "1", "-l", "ERROR"],
                cwd=ROOT, env={**os.environ, "BARE_BROKER": url}, **quiet,
            )
        )  # fmt: skip
        try:
            self._first()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End both processes."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(timeout=20)
        self._sender.close()
        self._folder.cleanup()

    def latency(self, name: str) -> float:
        """Seconds from sending to the first line."""
        began = time.time()
        self._send(name)
        return float(awaited(self.notes / name)) - began

    def rate(self, count: int) -> float:
        """Tasks a second."""
        began = time.time()
        for number in range(count):
            self._send(f"r{number}")
        last = max(float(awaited(self.notes / f"r{number}")) for number in range(count))
        return count / (last - began)

    def _send(self, name: str) -> None:
        self._sender.send_task(note.name, (str(self.notes), name), retry=False)

    def _first(self) -> None:
        for number in range(100):
            try:
                self.latency(f"first{number}")
                return
            except Exception:  # noqa: BLE001 - neither of the two has to be up yet
                time.sleep(0.1)
        raise RuntimeError("bare Celery did not start")


def awaited(file: Path, seconds: float = 30.0) -> str:
    """The content of a file, once it is there."""
    end = time.monotonic() + seconds
    while not file.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"{file.name} did not come within {seconds:g} s")
        time.sleep(0.0005)
    return file.read_text()
