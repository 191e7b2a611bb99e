"""A transport that runs an ASGI application in this process: the same API without a server.

One thread owns one event loop; a request is a task on it, and the answer's body comes back through a bounded
queue, so that streams stream. Lifespan events are not sent.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from typing import Any

import httpx2
from starlette.types import ASGIApp, Message, Scope

_END = object()


class InProcess(httpx2.BaseTransport):
    """Runs `app` for every request. Close it to end its thread."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="hub-inprocess", daemon=True)
        self._thread.start()
        self._ready.wait()

    async def _main(self) -> None:
        # One task stays for the life of the loop: AnyIO ties its idle worker threads to it.
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stop.wait()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Serve one request."""
        exchange = _Exchange(self._app, request.read(), self._loop)
        exchange.future = asyncio.run_coroutine_threadsafe(exchange.run(_scope(request)), self._loop)
        status, headers = exchange.head()
        return httpx2.Response(status, headers=headers, stream=_Body(exchange), request=request)

    def close(self) -> None:
        """End what still runs, then the loop and its thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=10)


class _Exchange:
    """One request and its answer, between the loop's thread and the caller's."""

    future: Any

    def __init__(self, app: ASGIApp, body: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self.app, self.body, self.loop = app, body, loop
        self.gone = asyncio.Event()
        self.room = asyncio.Semaphore(16)
        self.sent = False
        self.parts: queue.SimpleQueue[Any] = queue.SimpleQueue()

    async def run(self, scope: Scope) -> None:
        try:
            await self.app(scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            self.parts.put(error)
        finally:
            self.parts.put(_END)

    async def receive(self) -> Message:
        if not self.sent:
            self.sent = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.room.acquire()
        self.parts.put(message)

    def next(self) -> Any:
        part = self.parts.get()
        if isinstance(part, dict):
            self.loop.call_soon_threadsafe(self.room.release)
        if isinstance(part, Exception):
            raise httpx2.RemoteProtocolError(f"the application failed: {type(part).__name__}: {part}") from part
        return part

    def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        part = self.next()
        if part is _END:
            raise httpx2.RemoteProtocolError("the application sent no answer")
        return part["status"], list(part.get("headers", ()))

    def leave(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.gone.set)
            self.loop.call_soon_threadsafe(self.future.cancel)


class _Body(httpx2.SyncByteStream):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        while (part := self._exchange.next()) is not _END:
            if part.get("body"):
                yield part["body"]

    def close(self) -> None:
        self._exchange.leave()


def _scope(request: httpx2.Request) -> Scope:
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "server": (url.host, url.port or 80),
        "client": ("127.0.0.1", 0),
        "root_path": "",
        "state": {},
        "hub.inprocess": True,
    }
