"""What a task or a webhook costs in Python, counted: `python -m benchmarks.opcodes task|webhook [--top N]`.

On a machine whose pace changes from minute to minute a count says in one run what a clock says in ten: how many
instructions of Python's, and how many calls, are carried out for each, and where. What the database does is not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import itertools
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import CodeType, FrameType
from typing import Any

ROUNDS = 200
CONNECTIONS = 32


class Count:
    """Instructions and calls by function, of the thread that counts."""

    def __init__(self) -> None:
        self.instructions: Counter[CodeType] = Counter()
        self.calls: Counter[CodeType] = Counter()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is carried out in the block, and in what it calls."""
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, what: str, _arg: object) -> Callable[..., Any]:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if what == "opcode":
            self.instructions[frame.f_code] += 1
        elif what == "call":
            self.calls[frame.f_code] += 1
        return self._trace

    def tell(self, rounds: int, top: int) -> None:
        """Print both for one of so many rounds, and the functions that take most."""
        whole, calls = sum(self.instructions.values()), sum(self.calls.values())
        print(f"{whole / rounds:,.0f} instructions, {calls / rounds:,.1f} calls")
        for code, many in self.instructions.most_common(top):
            place = f"{os.path.relpath(code.co_filename)}:{code.co_firstlineno}"
            share = f"{many / rounds:7.1f} {many / whole:6.1%} {self.calls[code] / rounds:5.1f} x"
            print(f"{share} {code.co_qualname}  {place}")


def task(count: Count) -> int:
    """A task that does nothing, called by a flow; gives how many were counted."""
    from hub import flow

    from benchmarks.flows import nothing

    @flow
    def several() -> None:
        for number in range(50):
            nothing(number)
        with count.counting():
            for number in range(ROUNDS):
                nothing(number)

    several()
    return ROUNDS


def webhook(count: Count) -> int:
    """A signed webhook, from its bytes on a connection to its answer; gives how many were counted."""
    import uvloop
    from hub.testing.demo.site import Site

    with Site() as site:
        source = site.prepare("webhooks", "create", "counted", "--preset", "github", "--rate", "1000000")
        os.environ["HUB_HOME"] = str(site.home)
        path = "/in/" + str(source["url"]).rpartition("/in/")[2]
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_webhooks(count, path, str(source["secret"])))


async def _webhooks(count: Count, path: str, secret: str) -> int:
    import uvicorn
    from hub.settings import load_settings
    from hub.store import open_hub
    from hub.web.app import build_app
    from hub.web.protocol import BoundedProtocol
    from uvicorn.server import ServerState

    from benchmarks.load import BODY

    settings = load_settings()
    app = build_app(settings, open_hub(settings), door_only=True)
    config = uvicorn.Config(app, lifespan="off", log_config=None, server_header=False, proxy_headers=False)
    config.load()
    state, answers, numbers = ServerState(), list[bytes](), itertools.count()
    signature = hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n"
        f"x-github-event: push\r\nx-hub-signature-256: sha256={signature}\r\nx-github-delivery: %d\r\n\r\n"
    )
    made = partial(BoundedProtocol, config=config, server_state=state, app_state={}, take=app.state.services.door.take)
    protocols = [made() for _ in range(CONNECTIONS)]
    for protocol in protocols:
        protocol.connection_made(_Transport(answers))

    async def turn(some: int) -> None:
        wanted = len(answers) + some
        for protocol in protocols[:some]:
            protocol.data_received((head % next(numbers)).encode() + BODY)
        while len(answers) < wanted:
            await asyncio.sleep(0)

    await turn(1)  # reads the source, in another thread
    await turn(CONNECTIONS)
    with count.counting():
        for _ in range(ROUNDS // CONNECTIONS):
            await turn(CONNECTIONS)
    wrong = [answer for answer in answers if not answer.startswith(b"HTTP/1.1 202")]
    if wrong:
        raise RuntimeError(f"the door answered {wrong[0]!r}")
    return ROUNDS // CONNECTIONS * CONNECTIONS


class _Transport(asyncio.Transport):
    """Notes what is written."""

    def __init__(self, answers: list[bytes]) -> None:
        super().__init__({"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 1)})
        self._answers = answers

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._answers.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None:
        """It never stops."""

    def pause_reading(self) -> None:
        """It cannot."""


def main() -> None:
    """Count, and print what was counted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.opcodes", description=__doc__)
    parser.add_argument("what", choices=("task", "webhook"))
    parser.add_argument("--top", type=int, default=25, help="so many functions")
    options = parser.parse_args()
    count = Count()
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        os.environ["HUB_HOME"] = folder
        rounds = {"task": task, "webhook": webhook}[options.what](count)
    count.tell(rounds, options.top)


if __name__ == "__main__":
    main()
