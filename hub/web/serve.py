"""The web process: a listening socket, uvicorn on it, and an end that waits for nobody too long."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette

from hub.errors import HubError, RefusedError
from hub.plugins import Plugins
from hub.runtime.plugin_reports import Reporter
from hub.settings import Settings, is_loopback
from hub.store import Store, identity, open_hub
from hub.web import own
from hub.web.app import build_app
from hub.web.protocol import BoundedProtocol

CONNECTIONS = 1024
"""Connections served at once; more are answered 503."""
GRACE = 10
"""Seconds that requests have to end when the process stops."""
BACKLOG = 1024


def serve(
    settings: Settings,
    *,
    store: Store | None = None,
    plugins: Plugins | None = None,
    door_only: bool = False,
    listener: socket.socket | None = None,
    ready: Callable[[str], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit code. The store must be migrated.

    `listener` is a socket from `bind` (a supervisor binds before it forks); `ready` is called once with the address
    when requests are answered. Raises HubError when the address cannot be had or must not be served.
    """
    opened = store or open_hub(settings)
    sock = None
    try:
        refuse_exposure(settings, opened, door_only=door_only)
        sock = listener or bind(settings)
        app = build_app(settings, opened, plugins=plugins, door_only=door_only)
        # A door that stands alone serves no API, so its machine's commands have nothing to ask it.
        with nullcontext() if door_only else own.listening(settings.api_socket) as mine:
            sockets = [sock] if mine is None else [sock, mine]
            with Reporter(opened, app.state.services.plugins).running():
                _Server(app, lambda: ready(address(sock)) if ready else None).run(sockets=sockets)
    finally:
        if sock is not None:
            sock.close()
        if store is None:
            opened.close()
    return 0


def refuse_exposure(settings: Settings, store: Store, *, door_only: bool = False) -> None:
    """Fail closed: a console that others can reach needs somebody who can log in. Raises RefusedError."""
    if door_only or is_loopback(settings.web_host):
        return
    with store.read() as tx:
        if identity.has_owner(tx):
            return
    raise RefusedError(
        f"the hub may not listen on {settings.web_host}: it has no owner account, so anybody could use it",
        hint="Run `hub owner create NAME` first, or listen on 127.0.0.1.",
        code="no-owner",
    )


def bind(settings: Settings, *, shared: bool = False, port: int | None = None) -> socket.socket:
    """Take the address that the settings name (or another `port` of it), port 0: any free one.

    `shared` ones of a process and its children may have the same address: the system spreads connections over them.
    Raises HubError when it cannot be had.
    """
    host, port = settings.web_host, settings.web_port if port is None else port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = found[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(place)
            # Listening at once: somebody else's bind fails now, and early clients wait in the backlog.
            sock.listen(BACKLOG)
        except OSError:
            sock.close()
            raise
    except OSError as error:
        raise _cannot_bind(host, port, error) from None
    sock.setblocking(False)
    return sock


def bind_each(settings: Settings, count: int) -> list[socket.socket]:
    """A socket on the same address for each of `count` processes. Raises HubError when it cannot be had.

    Whoever forks them keeps all sockets open: connections that wait for a process that died wait for its successor.
    """
    with bind(settings) as probe:  # that somebody else listens there is seen by one that is not shared only
        port = probe.getsockname()[1]
    found: list[socket.socket] = []
    try:
        for _ in range(count):
            found.append(bind(settings, shared=True, port=port))
    except HubError:
        for sock in found:
            sock.close()
        raise
    return found


def address(sock: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - only recognized, to name an address that can be opened
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104 - as above
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _Server(uvicorn.Server):
    """Uvicorn that tells when it is up, ends streams before it waits for them, and exits 0 on a signal."""

    def __init__(self, app: Starlette, started: Callable[[], Any]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(BoundedProtocol, take=app.state.services.door.take),  # type: ignore[arg-type]
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # Whose client address counts is the setting web_trusted_proxies, read where it is needed.
                proxy_headers=False,
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=GRACE,
                backlog=BACKLOG,
            )
        )
        self._app = app
        self._tell = started
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self._tell()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: open streams say good-bye now, or the server would wait for them."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._app.state.services.stop)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn; a signal that was obeyed is not raised again."""
        with self.capture_signals():
            await self._serve(sockets)
            self._captured_signals.clear()


def _cannot_bind(host: str, port: int, error: OSError) -> HubError:
    if error.errno == errno.EADDRINUSE:
        hint = "Is another hub running? Choose another port with --port or HUB_WEB_PORT; 0 takes any free one."
        return HubError(f"port {port} on {host} is taken", hint=hint, code="port-taken")
    if error.errno in (errno.EACCES, errno.EPERM):
        return HubError(
            f"this user may not listen on port {port}", hint="Choose one above 1023.", code="port-forbidden"
        )
    reason = error.strerror or str(error)
    return HubError(
        f"the hub cannot listen on {host}:{port}: {reason}", hint="See HUB_WEB_HOST.", code="address-unusable"
    )
