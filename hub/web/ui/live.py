"""Wake-ups for open pages: one listening thread a process, one server-sent stream a page.

A message says only which topics changed. The page then fetches itself, under its reader's own permissions, and
swaps the parts that differ; so nothing travels here that would need a permission of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Iterable, Iterator

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hub.errors import HubError, UnavailableError, UsageError
from hub.store.base import TOPICS, Store
from hub.web.auth import SIGNED_IN

log = logging.getLogger("hub.web")
WAKES: dict[str, frozenset[str]] = {
    "runs": frozenset({"runs", "stamp", "attempts"}),
    "logs": frozenset({"logs"}),
    "limits": frozenset({"limits", "stamp"}),
    "events": frozenset({"events", "stamp"}),
    "receipts": frozenset({"receipts", "effects", "stamp", "events"}),
    "alerts": frozenset({"deliveries", "effects", "stamp"}),
    "outgoing": frozenset({"deliveries"}),
    "artifacts": frozenset({"artifacts"}),
    "catalog": frozenset({"stamp", "commands"}),
    "plugins": frozenset({"plugins", "stamp"}),
}
"""Topics of pages, and the wake-ups that may mean a change there."""
MAX_STREAMS = 256
PING = 15.0
GATHER = 0.2
LIFETIME = 1800.0


class Subscriber:
    """One open page. Rung from the listening thread, read on the event loop."""

    def __init__(self, wakes: frozenset[str]) -> None:
        self.wakes = wakes
        self.heard: set[str] = set()
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()

    def ring(self, heard: frozenset[str]) -> None:
        """Note what was heard; called from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is gone: so is the page
            self._loop.call_soon_threadsafe(self._note, heard)

    def _note(self, heard: frozenset[str]) -> None:
        self.heard |= heard & self.wakes
        if self.heard:
            self._rung.set()

    async def changes(self, timeout: float) -> set[str]:
        """What was heard since the last call, waiting for it at most `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), timeout)
            await asyncio.sleep(GATHER)
        self._rung.clear()
        heard, self.heard = self.heard, set()
        return heard


class Bell:
    """Hears the store's wake-ups while there is a page to tell; its thread ends with the last one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._pages: set[Subscriber] = set()
        self._thread: threading.Thread | None = None
        self.closed = False

    def close(self) -> None:
        """End every stream: the server is stopping."""
        self.closed = True
        with self._lock:
            pages = list(self._pages)
        for page in pages:
            page.ring(page.wakes)

    @contextlib.contextmanager
    def subscribe(self, topics: Iterable[str]) -> Iterator[Subscriber]:
        """Be told of the topics of a page. Raises UnavailableError when there are too many pages."""
        page = Subscriber(frozenset().union(*(WAKES[topic] for topic in topics)))
        with self._lock:
            if len(self._pages) >= MAX_STREAMS:
                raise UnavailableError(
                    "too many live pages are open", hint="The page still refreshes every 15 seconds."
                )
            self._pages.add(page)
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="hub-ui-bell", daemon=True)
                self._thread.start()
        try:
            yield page
        finally:
            with self._lock:
                self._pages.discard(page)

    def _listen(self) -> None:
        try:
            with contextlib.closing(self._store.listen(*TOPICS)) as listener:
                while not self._done():
                    self._tell(listener.wait(1.0))
        except (OSError, HubError) as error:
            log.warning("open pages hear no wake-ups and refresh every 15 s only: %s", error)
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _tell(self, heard: frozenset[str]) -> None:
        with self._lock:
            pages = list(self._pages) if heard else []
        for page in pages:
            page.ring(heard)

    def _done(self) -> bool:
        # Under the lock: a page that subscribes now either is seen here or starts a new thread.
        with self._lock:
            if not self._pages:
                self._thread = None
            return not self._pages


async def stream(request: Request) -> Response:
    """GET /ui/stream?topics=runs,logs : tell this page what changed, until it leaves."""
    services = request.app.state.services
    await run_in_threadpool(services.authorize, request, SIGNED_IN)
    topics = [topic for topic in request.query_params.get("topics", "")[:200].split(",") if topic]
    unknown = sorted(set(topics) - WAKES.keys())
    if unknown or not topics:
        raise UsageError(f"unknown topics: {unknown or 'none given'}", hint=f"Known: {', '.join(WAKES)}.")
    bell = _bell(request)
    return StreamingResponse(
        _messages(bell, topics), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


async def _messages(bell: Bell, topics: list[str]) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    end = loop.time() + LIFETIME
    with bell.subscribe(topics) as page:
        yield "retry: 2000\n\n"
        while loop.time() < end and not bell.closed:
            heard = await page.changes(PING)
            changed = [topic for topic in topics if WAKES[topic] & heard]
            yield f"event: changed\ndata: {','.join(changed)}\n\n" if changed else ": still here\n\n"


_making = threading.Lock()


def _bell(request: Request) -> Bell:
    """The application's bell, made at the first stream."""
    state = request.app.state
    with _making:
        if not hasattr(state, "ui_bell"):
            state.ui_bell = Bell(state.services.store)
            state.services.on_stop.append(state.ui_bell.close)
    bell: Bell = state.ui_bell
    return bell
