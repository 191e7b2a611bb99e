"""A real HTTPS server of this machine that stands for the hosts of providers: a CA of its own, names resolved to it.

Nothing of the rule is weakened: names resolve to a public address, and only the last step, connecting, leads here.
"""

from __future__ import annotations

import contextlib
import datetime
import http.server
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hub.outbound.call import Caller, Limits
from hub.outbound.rule import Rule

PUBLIC = "8.8.8.8"
NAMES = (
    "keys.example.com",
    "sns.us-east-1.amazonaws.com",
    "sns.eu-west-1.amazonaws.com",
    "www.googleapis.com",
    "api.paypal.com",
    "production.plaid.com",
    "sandbox.plaid.com",
)
DAY = datetime.timedelta(days=1)


@dataclass
class Reply:
    """What the server says. `drip` sends the body byte by byte, that many seconds apart."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drip: float = 0.0
    wait: float = 0.0
    promised: int | None = None


@dataclass
class KeyHost:
    """The running server. `replies` by host and path; `seen` are the requests, `dialled` the connections."""

    port: int
    ca: Path
    replies: dict[str, Reply | Callable[[bytes], Reply]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    addresses: dict[str, list[list[str]]] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)
    down: bool = False

    def resolve(self, host: str, port: int) -> list[str]:
        """Names of this test; several lists for one name are its answers one after the other."""
        self.resolved.append(host)
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(host))]
        answers = self.addresses.get(host)
        if answers:
            return answers.pop(0) if len(answers) > 1 else answers[0]
        if host not in NAMES:
            raise OSError("no such name")
        return [PUBLIC]

    def dial(self, address: str, port: int, timeout: float) -> socket.socket:
        """Whatever the address: here."""
        self.dialled.append((address, port))
        if self.down:
            raise ConnectionRefusedError(111, "Connection refused")
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def trust(self) -> ssl.SSLContext:
        """The throw-away CA alone."""
        return ssl.create_default_context(cafile=str(self.ca))

    def caller(self, rule: Rule | None = None, limits: Limits | None = None) -> Caller:
        """A caller whose network is this server."""
        return Caller(rule or Rule(), limits or Limits(2, 3), self.resolve, self.dial, self.trust)


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[KeyHost]:
    """Serve until the block ends."""
    ca, chain = _certificates(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    host = KeyHost(server.server_address[1], ca)
    server.host = host  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def certificate(name: str, *, key: Any = None, issuer: Any = None, names: tuple[str, ...] = (), days: int = 30) -> Any:
    """A certificate and its key; `issuer` is such a pair, otherwise it signs itself."""
    key = key or rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issued_by, signer = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issued_by).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + min(days, 0) * 2 * DAY - DAY).not_valid_after(now + days * DAY)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), False)
    elif issuer is None:
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
        usage = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        )
        allowed = x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
        builder = builder.add_extension(allowed, True)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return builder.add_extension(identifier, False).sign(signer, SHA256()), key


def pem(one: Any) -> bytes:
    """A certificate as PEM."""
    return bytes(one.public_bytes(Encoding.PEM))


def _certificates(folder: Path) -> tuple[Path, Path]:
    root = certificate("a throw-away CA", key=ec.generate_private_key(ec.SECP256R1()))
    leaf, key = certificate("hosts", key=ec.generate_private_key(ec.SECP256R1()), issuer=root, names=NAMES)
    ca, chain = folder / "ca.pem", folder / "chain.pem"
    ca.write_bytes(pem(root[0]))
    chain.write_bytes(pem(leaf) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return ca, chain


class _Handler(http.server.BaseHTTPRequestHandler):
    def _serve(self) -> None:
        host: KeyHost = self.server.host  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place = f"{self.headers['Host']}{self.path}"
        host.seen.append((self.command, place))
        found = host.replies.get(place, Reply(b"nothing here", 404))
        reply = found if isinstance(found, Reply) else found(body)
        time.sleep(reply.wait)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) if reply.promised is None else reply.promised))
        self.end_headers()
        for part in [reply.body[at : at + 1] for at in range(len(reply.body))] if reply.drip else [reply.body]:
            self.wfile.write(part)
            self.wfile.flush()
            time.sleep(reply.drip)

    do_GET = do_POST = _serve

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
