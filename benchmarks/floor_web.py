"""Floors of the webhook door: `python -m benchmarks.floor_web MODE PORT FILE SECRET`.

bare: read the body, answer. group: verify the HMAC and commit to SQLite with synchronous=FULL, whatever has queued
up in one transaction, then answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import queue
import sqlite3
import sys
import threading
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()


def application(mode: str, secret: str) -> Starlette:
    """The application of a floor."""

    async def bare(request: Request) -> Response:
        await request.body()
        return Response(b"{}", 202, media_type="application/json")

    async def group(request: Request) -> Response:
        body = await request.body()
        digest = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(digest, request.headers["x-hub-signature-256"]):
            return Response(status_code=401)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        _waiting.put((request.headers["x-github-delivery"], body, loop, future))
        await future
        return Response(b"{}", 202, media_type="application/json")

    return Starlette(routes=[Route("/in/floor", bare if mode == "bare" else group, methods=["POST"])])


def write(file: str) -> None:
    """Commit what is waiting, again and again."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
    connection.execute("CREATE TABLE IF NOT EXISTS receipts (id TEXT PRIMARY KEY, body BLOB)")
    while True:
        batch = [_waiting.get()]
        while len(batch) < 256 and not _waiting.empty():
            batch.append(_waiting.get())
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO receipts VALUES (?, ?)", [(item[0], item[1]) for item in batch])
        connection.execute("COMMIT")
        batch[0][2].call_soon_threadsafe(_answer, [item[3] for item in batch])


def _answer(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


if __name__ == "__main__":
    mode, port, file, secret = sys.argv[1:]
    if mode == "group":
        threading.Thread(target=write, args=(file,), daemon=True).start()
    uvicorn.run(
        application(mode, secret),
        port=int(port),
        log_level="warning",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
