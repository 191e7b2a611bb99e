"""Real servers that stand for the services alerts go to: what they got, byte for byte, and what they are to do.

Nothing of the sender is replaced: names resolve to a public address, certificates are checked for the name, and only
the last step, connecting, leads here.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hub.outbound.call import Caller
from tests.keyhost import PUBLIC, certificate, pem

from hub_notifications.reach import Level, Reach, make_reach

NAMES = (
    "hooks.slack.com", "slack.com", "discord.com", "api.telegram.org", "ntfy.sh", "events.pagerduty.com",
    "events.eu.pagerduty.com", "api.opsgenie.com", "api.resend.com", "prod-00.westus.logic.azure.com",
    "chat.googleapis.com", "chat.example.com", "hooks.example.com", "mail.example.com",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    host: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def query(self) -> dict[str, str]:
        """The query of the target."""
        return dict(parse_qsl(urlsplit(self.target).query))


@dataclass
class Reply:
    """What a request gets; `hang`: nothing, until the peer leaves; `endless`: a body without end."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    endless: bool = False


@dataclass
class World:
    """All hosts of the services, on one port for TLS and one for plain HTTP."""

    tls_port: int
    port: int
    ca: Path
    got: list[Request] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    """In turn; the last one for ever."""
    names: dict[str, str] = field(default_factory=dict)
    """Names that resolve to another address than the usual one."""
    all_names: bool = False
    """Whether every name resolves, and certificates are not checked."""
    ports: dict[int, int] = field(default_factory=dict)
    """Ports of other servers: what is dialled -> where it leads."""

    def trust(self) -> ssl.SSLContext:
        """The throw-away CA alone."""
        if self.all_names:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return context
        return ssl.create_default_context(cafile=str(self.ca))

    def reach(self, level: Level = "public", *, timeout_s: float = 5.0, **more: Any) -> Reach:
        """A reach whose network is this world."""
        made = make_reach(level, timeout_s=timeout_s, **more)
        web = made.web
        return replace(made, web=Caller(web.rule, web.limits, self._resolve, self._dial, self.trust))

    def reply_of(self, number: int) -> Reply:
        """What request `number` (from 1) gets."""
        return self.replies[min(number, len(self.replies)) - 1] if self.replies else Reply()

    def _resolve(self, host: str, _port: int) -> list[str]:
        if not self.all_names and host not in NAMES and host not in self.names:
            raise OSError("no such name")
        return [self.names.get(host, PUBLIC)]

    def _dial(self, address: str, port: int, timeout: float) -> socket.socket:
        self.dialled.append((address, port))
        usual = self.port if port == 80 else self.tls_port
        return socket.create_connection(("127.0.0.1", self.ports.get(port, usual)), timeout)


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[World]:
    """Serve until the block ends."""
    ca, chain = certificates(folder)
    secure, plain = (ThreadingHTTPServer(("127.0.0.1", 0), _Handler) for _ in range(2))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    world = World(secure.server_address[1], plain.server_address[1], ca)
    over = threading.Event()
    threads = []
    for server in (secure, plain):
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.world, server.over = world, over  # type: ignore[attr-defined]
        threads.append(threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True))
        threads[-1].start()
    try:
        yield world
    finally:
        over.set()
        for server in (secure, plain):
            server.shutdown()
            server.server_close()


def certificates(folder: Path) -> tuple[Path, Path]:
    """A CA, and a chain with its key for all hosts."""
    root = certificate("a throw-away CA", key=ec.generate_private_key(ec.SECP256R1()))
    leaf, key = certificate("hosts", key=ec.generate_private_key(ec.SECP256R1()), issuer=root, names=NAMES)
    ca, chain = folder / "ca.pem", folder / "chain.pem"
    ca.write_bytes(pem(root[0]))
    chain.write_bytes(pem(leaf) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return ca, chain


class _Handler(BaseHTTPRequestHandler):
    def _serve(self) -> None:
        world: World = self.server.world  # type: ignore[attr-defined]
        over: threading.Event = self.server.over  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        world.got.append(Request(self.command, headers.get("host", ""), self.path, headers, body))
        reply = world.reply_of(len(world.got))
        if reply.hang:
            over.wait(10)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.endless:
            self.end_headers()
            while not over.wait(0.02):
                self.wfile.write(b"x" * 65_536)
            return
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@dataclass
class Mails:
    """A mail server with TLS and accounts. `says` is what a message gets, in turn, the last one for ever."""

    port: int
    got: list[Any] = field(default_factory=list)
    tries: int = 0
    says: list[str] = field(default_factory=lambda: ["250 OK"])
    logins: list[tuple[str, bytes, bool]] = field(default_factory=list)
    """User, password, and whether the line was secret."""


@contextlib.contextmanager
def mail_server(folder: Path, *, chain: Path, password: bytes = b"the-mail-pass") -> Iterator[Mails]:
    """STARTTLS is required, so is a login."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

    mails = Mails(0)

    class Handler:
        async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
            mails.tries += 1
            said = mails.says[min(mails.tries, len(mails.says)) - 1]
            if said.startswith("250"):
                mails.got.append(envelope)
            return said

    def check(_server: object, session: Any, _envelope: object, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        mails.logins.append((data.login.decode(), data.password, session.ssl is not None))
        return AuthResult(success=data.password == password, handled=False)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)

    class Secure(Controller):
        def factory(self) -> SMTP:
            return SMTP(
                self.handler, tls_context=context, require_starttls=True, auth_required=True, authenticator=check,
                data_size_limit=20_000,
            )  # fmt: skip

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        mails.port = probe.getsockname()[1]
    controller = Secure(Handler(), hostname="127.0.0.1", port=mails.port)
    controller.start()
    try:
        yield mails
    finally:
        controller.stop()
