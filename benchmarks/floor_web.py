"""Floors of the webhook door: `python -m benchmarks.floor_web MODE PORT WHERE SECRET`.

bare: read the body, answer. sqlite, postgresql: verify the HMAC and commit durably, whatever has queued up in one
transaction, then answer. WHERE is a file (synchronous=FULL) or the URL of a database.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import queue
import sqlite3
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Batch: TypeAlias = list[tuple[str, bytes]]
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


def write(commit: Callable[[Batch], None]) -> None:
    """Commit what is waiting, again and again."""
    while True:
        batch = [_waiting.get()]
        while len(batch) < 256 and not _waiting.empty():
            batch.append(_waiting.get())
        commit([(item[0], item[1]) for item in batch])
        batch[0][2].call_soon_threadsafe(_answer, [item[3] for item in batch])


def sqlite(file: str) -> Callable[[Batch], None]:
    """Commits to a file; called in the thread that commits."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
    connection.execute("CREATE TABLE IF NOT EXISTS receipts (id TEXT PRIMARY KEY, body BLOB)")

    def commit(rows: Batch) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO receipts VALUES (?, ?)", rows)
        connection.execute("COMMIT")

    return commit


def postgresql(url: str) -> Callable[[Batch], None]:
    """Commits to a server, a statement a batch."""
    import psycopg

    connection = psycopg.connect(url, autocommit=True)
    connection.execute("CREATE TABLE IF NOT EXISTS floor_receipts (id TEXT PRIMARY KEY, body BYTEA)")
    text = "INSERT INTO floor_receipts SELECT * FROM unnest(%s::text[], %s::bytea[])"

    def commit(rows: Batch) -> None:
        connection.execute(text, ([row[0] for row in rows], [row[1] for row in rows]), prepare=True)

    return commit


STORES = {"sqlite": sqlite, "postgresql": postgresql}


def _answer(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


if __name__ == "__main__":
    mode, port, where, secret = sys.argv[1:]
    if mode in STORES:
        threading.Thread(target=lambda: write(STORES[mode](where)), daemon=True).start()
    uvicorn.run(
        application(mode, secret),
        port=int(port),
        log_level="warning",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )
