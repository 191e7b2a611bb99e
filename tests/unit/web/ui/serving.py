"""The whole application served for tests: real store, plugins, guards and sessions, by a real uvicorn in a thread."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from hub.settings import load_settings
from hub.store import Store, open_store
from hub.web.app import build_app
from starlette.applications import Starlette


def make_store(folder: Path) -> Store:
    """A migrated store in a file, as processes share it."""
    store = open_store(f"sqlite:///{folder}/hub.db")
    store.migrate()
    return store


def make_app(store: Store, folder: Path, **settings: Any) -> Starlette:
    """The application on that store; without further settings everybody on this machine may do everything."""
    return build_app(load_settings({"home": folder, **settings}, environ={}), store)


@contextlib.contextmanager
def serve(app: Starlette, *, port: int = 0) -> Iterator[str]:
    """Serve on a port of the loopback, a free one without; gives the address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", port))
    listener.listen(128)  # whoever comes before the server is up waits instead of being refused
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="on"))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        app.state.services.stop()
        server.should_exit = True
        thread.join(10)
        listener.close()
