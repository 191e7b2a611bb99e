"""The client a command talks through.

HTTP to HUB_API_URL; else the hub that runs on this home, through the socket in it; else, when none runs, the same API
in this process on the local store.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hub.settings import Settings, load_settings
from hub.web import own

if TYPE_CHECKING:
    from hub.client import Client
    from hub.store import Store

LOCAL_URL = "http://127.0.0.1"
"""The address an API without one believes it has; nothing listens there."""


@contextmanager
def connect() -> Iterator[Client]:
    """Give a client of the hub that the settings name. Without one, the local store is made and migrated first."""
    from hub.client import Client

    settings = load_settings()
    if settings.api_url:
        with Client(settings.api_url, token=settings.api_key.get_secret_value(), ca=settings.api_ca) as client:
            yield client
        return
    if own.answers(settings.api_socket):
        yield from _running(settings)
        return
    with local_store(settings) as store:
        yield from _in_process(settings, store)


def nobody_answers(settings: Settings) -> bool:
    """Whether there is no hub to ask, neither by address nor on this home."""
    return not settings.api_url and not own.answers(settings.api_socket)


@contextmanager
def local_store(settings: Settings) -> Iterator[Store]:
    """The store of this machine, migrated."""
    from hub.store.opening import open_ready

    store = open_ready(settings)
    try:
        yield store
    finally:
        store.close()


def _running(settings: Settings) -> Iterator[Client]:
    import httpx2

    from hub.client import Client

    transport = httpx2.HTTPTransport(uds=str(settings.api_socket), verify=False)  # a file, no network
    with Client(LOCAL_URL, transport=transport) as client:
        yield client


def _in_process(settings: Settings, store: Any) -> Iterator[Client]:
    from hub.client import Client
    from hub.client.inprocess import InProcess
    from hub.runtime import plugging
    from hub.web.app import build_app

    # Only plugins for command lines: the dashboard would cost a tenth of a second, and nobody looks at it here.
    plugins = plugging.load(settings, process="cli", store=store)
    with Client(LOCAL_URL, transport=InProcess(build_app(settings, store, plugins=plugins)), tries=1) as client:
        yield client


def path(*parts: str) -> str:
    """An API path whose parts are quoted: path("runs", id, "logs")."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)
