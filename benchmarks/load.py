"""A load generator: `python -m benchmarks.load PORT PATH CONNECTIONS SECONDS SECRET` prints what came back as JSON.

Keep-alive connections, one request in flight on each; every request has a delivery id of its own and a true
signature. It shares the machine with the server, so rates are to be read beside those of the floors, not alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import uvloop

from benchmarks.row import percentile

BODY = json.dumps({"ref": "refs/heads/main", "padding": "x" * 980}).encode()[:1024]


class Connection(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, sends again."""

    def __init__(
        self, head: bytes, end: float, left: Iterator[int], seen: list[float], statuses: Counter[bytes]
    ) -> None:
        self.head, self.end, self.left, self.seen, self.statuses = head, end, left, seen, statuses
        self.mark = os.urandom(6).hex()
        self.number = 0
        self.buffer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.go_on(time.perf_counter())

    def go_on(self, now: float) -> None:
        """Send the next one, or end."""
        if now < self.end and next(self.left, None) is not None:
            self.send()
        else:
            self.transport.close()

    def send(self) -> None:
        self.number += 1
        self.began = time.perf_counter()
        delivery = f"{self.mark}-{self.number}".encode()
        self.transport.write(self.head % delivery + BODY)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        start = lower.find(b"content-length:")
        length = int(lower[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
        if len(body) < length:
            return
        self.buffer = body[length:]
        now = time.perf_counter()
        self.seen.append(now - self.began)
        self.statuses[head[9:12]] += 1
        self.go_on(now)

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def run(
    port: int, path: str, connections: int, seconds: float, secret: str, most: int = sys.maxsize
) -> dict[str, Any]:
    """Load the server for a while, or until so many requests were sent."""
    digest = hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\nX-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={digest}\r\n"
    ).encode() + b"X-GitHub-Delivery: %b\r\n\r\n"
    seen: list[float] = []
    statuses: Counter[bytes] = Counter()
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    left = iter(range(most))

    def connection() -> Connection:
        return Connection(head, began + seconds, left, seen, statuses)

    lines = [(await loop.create_connection(connection, "127.0.0.1", port))[1] for _ in range(connections)]
    await asyncio.wait_for(asyncio.gather(*(line.done for line in lines)), seconds + 30)
    wall = time.perf_counter() - began
    return {
        "rate": len(seen) / wall,
        "p50": percentile(seen, 0.5) * 1000 if seen else 0.0,
        "p99": percentile(seen, 0.99) * 1000 if seen else 0.0,
        "statuses": {status.decode(): count for status, count in statuses.items()},
    }


if __name__ == "__main__":
    uvloop.install()
    port, path, connections, seconds, secret = sys.argv[1:]
    print(json.dumps(asyncio.run(run(int(port), path, int(connections), float(seconds), secret))))
