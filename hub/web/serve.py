"""The web process: a listening socket, uvicorn on it, and an end that waits for nobody too long."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import ssl
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette

from hub.errors import ConflictError, HubError, RefusedError
from hub.plugins import Plugins
from hub.runtime.commands import Command, apply
from hub.runtime.plugin_reports import Reporter
from hub.settings import Settings, is_loopback, local_without_login
from hub.store import Store, identity, open_hub
from hub.types import Scope
from hub.web import own
from hub.web.app import build_app
from hub.web.auth import LOCAL
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
    invite: Callable[[str], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit code. The store must be migrated.

    `listener` is a socket from `bind` (a supervisor binds before it forks); `ready` is called once with the address
    when requests are answered, `invite` with a one-time link for the first owner where others can reach a hub that has
    none. Raises HubError when the address cannot be had or must not be served.
    """
    opened = store or open_hub(settings)
    sock = None
    try:
        refuse_exposure(settings)
        sock = listener or bind(settings)
        app = build_app(settings, opened, plugins=plugins, door_only=door_only)
        # A door that stands alone serves no API, so its machine's commands have nothing to ask it.
        with nullcontext() if door_only else own.listening(settings.api_socket) as mine:
            sockets = [sock] if mine is None else [sock, mine]
            where = address(sock, tls=settings.web_tls_cert is not None)
            link = None if door_only or invite is None else first_owner_link(settings, opened, where)

            def started() -> None:
                if ready:
                    ready(where)
                if invite is not None and link:
                    invite(link)

            gc.freeze()  # what lives as long as the process is not looked through again and again
            with Reporter(opened, app.state.services.plugins).running():
                _Server(app, started, settings).run(sockets=sockets)
    finally:
        if sock is not None:
            sock.close()
        if store is None:
            opened.close()
    return 0


def refuse_exposure(settings: Settings) -> None:
    """Fail closed: what others may send over a network is encrypted on its way. Raises RefusedError."""
    if settings.web_tls_cert is not None:
        _check_certificate(settings)
    elif not (is_loopback(settings.web_host) or settings.public_url.startswith("https://") or settings.web_plain_http):
        raise RefusedError(
            f"the hub may not listen on {settings.web_host} without TLS: whoever is between could read passwords",
            hint="Make a certificate: hub tls create. Or set HUB_PUBLIC_URL to the https address of the proxy in front."
            " Or say that it shall be so: HUB_WEB_PLAIN_HTTP=true.",
            code="plain-http",
        )


def first_owner_link(settings: Settings, store: Store, where: str) -> str | None:
    """A link that makes the owner's account, once, of a hub that others can reach and that has none; else None."""
    if local_without_login(settings):
        return None
    with store.read() as tx:
        if identity.has_owner(tx):
            return None
    try:
        made = apply(store, Command("invitation.first_owner", Scope(actor=LOCAL), via="cli"))
    except ConflictError:
        return None  # another process was first, and somebody has used its link
    return f"{settings.public_url.rstrip('/') or where}/ui/invitations/{made.result['token']}"


def _check_certificate(settings: Settings) -> None:
    try:
        if settings.web_tls_key is None:
            raise ValueError("HUB_WEB_TLS_KEY is not set")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.web_tls_cert or "", settings.web_tls_key)
    except (OSError, ValueError) as error:
        detail = f"the certificate {settings.web_tls_cert} cannot be used: {getattr(error, 'strerror', None) or error}"
        hint = "HUB_WEB_TLS_CERT and HUB_WEB_TLS_KEY name PEM files that belong together; hub tls create makes such."
        raise RefusedError(detail, hint=hint, code="bad-certificate") from None


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


def address(sock: socket.socket, *, tls: bool = False) -> str:
    """The URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - only recognized, to name an address that can be opened
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104 - as above
    return f"http{'s' * tls}://{f'[{host}]' if ':' in host else host}:{port}"


class _Server(uvicorn.Server):
    """Uvicorn that tells when it is up, ends streams before it waits for them, and exits 0 on a signal."""

    def __init__(self, app: Starlette, started: Callable[[], Any], settings: Settings) -> None:
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
                ssl_certfile=settings.web_tls_cert,
                ssl_keyfile=settings.web_tls_key,
            )
        )
        self._app = app
        self._tell = started
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self._loop = asyncio.get_running_loop()
        own = [sock for sock in sockets or () if sock.family == socket.AF_UNIX]
        await super().startup([sock for sock in sockets or () if sock not in own])
        for sock in own:  # nothing of it is on the network, so it needs no TLS
            self.servers.append(await self._loop.create_server(self._protocol, sock=sock, backlog=BACKLOG))
        if self.started:
            self._tell()

    def _protocol(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        made: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=self._loop
        )
        return made

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
