"""One request under the rule: resolved once, sent to a checked address, never redirected, cut and bounded in time.

No proxy of the environment is used. A name is resolved once and the connection goes to the address that was judged;
TLS asks for, and checks, the certificate of the name.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from hub.errors import PermanentError, TransientError
from hub.outbound.rule import Rule, Target

Resolve: TypeAlias = Callable[[str, int], list[str]]
"""Makes IP addresses of a name and a port; raises OSError."""
Dial: TypeAlias = Callable[[str, int, float], socket.socket]
"""Connects to an IP address and a port within seconds; raises OSError."""
_TRIED = 3
"""Addresses of one name that are tried."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, headers by their lower-case names, and the beginning of the body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    cut: bool = False
    """Whether the body was longer than what is here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for connecting and for everything, and bytes of the body that are read."""

    connect_s: float = 5.0
    total_s: float = 20.0
    body: int = 65_536
    patience_s: float | None = None
    """Where the status is what counts: seconds for the body, after which the answer is one without the rest of it."""


def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def dial(address: str, port: int, timeout: float) -> socket.socket:
    """Connect to an IP address."""
    return socket.create_connection((address, port), timeout)


@lru_cache(maxsize=1)
def system_trust() -> ssl.SSLContext:
    """What the system trusts, read once."""
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class Caller:
    """Makes requests under a rule. What reaches the network can be replaced: `resolve`, `dial`, `trust`."""

    rule: Rule
    limits: Limits = Limits()
    resolve: Resolve = resolve
    dial: Dial = dial
    trust: Callable[[], ssl.SSLContext] = system_trust

    def call(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Make one request; an answer of any status is an answer. Raises Blocked, PermanentError, TransientError."""
        target = self.rule.target(url)
        end = time.monotonic() + self.limits.total_s
        names = within(self.limits.connect_s, lambda: self.resolve(target.host, target.port), "its name")
        addresses = [str(address) for address in self.rule.check(names, target)]
        conn = self._connect(target, addresses, end)
        try:
            return self._ask(conn, target, method, dict(headers or {}), body, end)
        finally:
            conn.close()

    def _connect(self, target: Target, addresses: list[str], end: float) -> socket.socket:
        problem: Exception = TransientError("no connection within the time allowed")
        for address in addresses[:_TRIED]:
            left = min(self.limits.connect_s, end - time.monotonic())
            if left <= 0:
                break
            try:
                return self._secured(self.dial(address, target.port, left), target)
            except ssl.SSLCertVerificationError as error:
                raise PermanentError(f"the certificate of {target.host} is wrong: {error.verify_message}") from None
            except OSError as error:
                problem = TransientError(f"{target.host} cannot be reached: {error.strerror or type(error).__name__}")
        raise problem

    def _secured(self, conn: socket.socket, target: Target) -> socket.socket:
        if target.scheme != "https":
            return conn
        try:
            return self.trust().wrap_socket(conn, server_hostname=target.host)
        except BaseException:
            conn.close()
            raise

    def _ask(
        self, conn: socket.socket, target: Target, method: str, headers: dict[str, str], body: bytes, end: float
    ) -> Answer:
        asking = http.client.HTTPConnection(target.host, target.port)
        asking.sock = conn
        headers = {"Host": target.authority, "User-Agent": "Hubspoke", "Connection": "close", **headers}
        conn.settimeout(max(0.001, end - time.monotonic()) + 1)  # not that of connecting; the watch ends it
        late = threading.Event()
        watch = threading.Timer(max(0.001, end - time.monotonic()), _break_off, (conn, late))
        watch.daemon = True
        watch.start()
        try:
            asking.request(method, target.path, body or None, headers)
            response = asking.getresponse()
            if self.limits.patience_s is None:
                answer = _read(response, self.limits.body)
            else:
                return _read_some(conn, response, self.limits.body, min(end, time.monotonic() + self.limits.patience_s))
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
            if not late.is_set():
                raise TransientError(f"{target.host} gave no whole answer: {type(error).__name__}") from None
        finally:
            watch.cancel()
        if late.is_set():
            raise TransientError(f"{target.host} gave no whole answer within {self.limits.total_s:g} s")
        return answer


def _read(response: http.client.HTTPResponse, limit: int) -> Answer:
    body = response.read(limit + 1)
    if len(body) <= limit and response.length:
        raise http.client.IncompleteRead(body, response.length)
    return _answer(response, body[:limit], cut=len(body) > limit)


def _read_some(conn: socket.socket, response: http.client.HTTPResponse, limit: int, end: float) -> Answer:
    """What comes of the body until `end`; whoever drips, or says more than was asked for, has answered all the same."""
    body, cut = b"", True
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
        while len(body) <= limit and (left := end - time.monotonic()) > 0:
            conn.settimeout(left)
            piece = response.read1(limit + 1 - len(body))
            if not piece:
                cut = bool(response.length)
                break
            body += piece
    return _answer(response, body[:limit], cut=cut)


def _answer(response: http.client.HTTPResponse, body: bytes, *, cut: bool) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, body, cut)


def _break_off(conn: socket.socket, late: threading.Event) -> None:
    """End a request whose peer sends a byte now and then: time limits of sockets begin anew with each."""
    late.set()
    with contextlib.suppress(OSError):
        # Not SSLSocket.shutdown, which takes away what the reading thread is using.
        socket.socket.shutdown(conn, socket.SHUT_RDWR)


def within(seconds: float, ask: Callable[[], list[str]], what: str) -> list[str]:
    """Call beside us: the system's resolver has no time limit."""
    found: list[Any] = []

    def work() -> None:
        try:
            found.append(ask())
        except (OSError, UnicodeError) as error:
            found.append(error)

    thread = threading.Thread(target=work, name="resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise TransientError(f"{what} was not resolved within {seconds:g} s")
    if isinstance(found[0], Exception):
        raise TransientError(f"{what} cannot be resolved") from None
    return list(found[0])
