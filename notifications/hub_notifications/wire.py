"""The seam under Apprise: what its plugins send by HTTP or SMTP, while one attempt is made, goes through here.

Apprise's plugins call `requests` and `smtplib` by themselves. Their answers hold what Apprise hides (status,
Retry-After, the message's id), and their connections are what must be checked and must end. So some methods of
`requests.Session` and `smtplib.SMTP` are given a door, once and for good: it leads to the `Wire` of the attempt that
the calling thread makes (a context variable), and where there is none, to where it always led.
"""

from __future__ import annotations

import contextlib
import io
import os
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from hub.errors import DeclinedError, PermanentError, TransientError
from hub.outbound.call import Answer, Caller, within
from hub.outbound.rule import Blocked

from hub_notifications.reach import Reach

_MAX_BODY = 30_000_000
_OURS = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding"})
_wire: ContextVar[Wire | None] = ContextVar("hub_alert_wire", default=None)
_lock = threading.Lock()
_doors_are_in = False


class Wire:
    """What one attempt has sent and heard."""

    def __init__(self, reach: Reach, *, headers: dict[str, str] | None = None, query: str = "") -> None:
        self._reach = reach
        self._end = time.monotonic() + reach.timeout_s
        self._headers, self._query = headers or {}, query
        self._mail: list[smtplib.SMTP] = []
        self.answers: list[Answer] = []
        self.replies: list[int] = []
        """Codes of SMTP."""
        self.problem: TransientError | PermanentError | None = None
        """What ended the attempt before an answer came; nothing more is sent after it."""

    @property
    def left(self) -> float:
        """Seconds that the attempt still has."""
        return max(0.0, self._end - time.monotonic())

    def over(self) -> bool:
        """Whether nothing more is to be sent: some plugins try again by themselves, at once."""
        return self.problem is not None or bool(self.answers and _asks_to_wait(self.answers[-1].status))

    def ask(self, method: str, url: str, headers: dict[str, str], body: bytes, *, verify: bool) -> Answer:
        """Make a request under the rule. Raises TransientError or PermanentError."""
        if self.over():
            raise TransientError("nothing more is sent in this attempt")
        web = self._reach.web
        caller = replace(web, limits=replace(web.limits, total_s=max(0.001, self.left)))
        if not verify:
            caller = replace(caller, trust=_trusts_anybody)
        try:
            answer = caller.call(method, _with(url, self._query), headers={**headers, **self._headers}, body=body)
        except (TransientError, PermanentError) as problem:
            self.problem = problem
            raise
        self.answers.append(answer)
        return answer

    def body(self, given: Any) -> bytes:
        """What a prepared request holds, read to its end. Raises DeclinedError when it is too large."""
        read = _bytes(given)
        if len(read) > _MAX_BODY:
            self.problem = DeclinedError(f"the message and its files are larger than {_MAX_BODY} bytes")
            raise self.problem
        return read

    def dial(self, smtp: smtplib.SMTP, host: str, port: int) -> socket.socket:
        """Connect to a mail server at an address that was checked. Raises OSError."""
        try:
            conn = self._dial(host, port)
        except (TransientError, PermanentError) as problem:
            self.problem = problem
            raise OSError("no connection") from None
        self._mail.append(smtp)
        return conn

    def break_off(self) -> None:
        """End what is under way: limits of sockets begin anew with every byte, and this one does not."""
        for smtp in self._mail:
            if smtp.sock is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(smtp.sock, socket.SHUT_RDWR)

    def _dial(self, host: str, port: int) -> socket.socket:
        caller = self._reach.web
        names = _resolved(caller, host, port)
        addresses = [str(address) for address in self._reach.mail.check(names)]
        ports = self._reach.mail_ports
        if ports is not None and port not in ports:
            listed = ", ".join(map(str, sorted(ports)))
            raise Blocked(f"port {port} is none of a mail server ({listed})")
        for address in addresses[:2]:
            with contextlib.suppress(OSError):
                conn = caller.dial(address, port, max(0.001, min(caller.limits.connect_s, self.left)))
                conn.settimeout(self.left + 1)
                return conn
        raise TransientError("the mail server cannot be reached")


@contextlib.contextmanager
def wired(wire: Wire) -> Iterator[None]:
    """Lead what this thread sends through the wire, and end it when its time is over."""
    _put_in_doors()
    token, done = _wire.set(wire), threading.Event()
    threading.Thread(target=_end_in_time, args=(wire, done), name="hub-alert-watch", daemon=True).start()
    try:
        yield
    finally:
        done.set()
        _wire.reset(token)


def _end_in_time(wire: Wire, done: threading.Event) -> None:
    """Again and again once the time is over: a connection may be just about to be made."""
    wait = wire.left
    while not done.wait(wait):
        wire.break_off()
        wait = 0.2


def _put_in_doors() -> None:
    global _doors_are_in
    with _lock:
        if not _doors_are_in:
            _doors_of_requests()
            _doors_of_smtplib()
            _doors_are_in = True


def _doors_of_requests() -> None:
    import requests  # noqa: PLC0415 - only Apprise needs it, and only where something is sent

    prepare, get_adapter = requests.Session.prepare_request, requests.Session.get_adapter

    def prepared(self: requests.Session, request: requests.Request) -> requests.PreparedRequest:
        if _wire.get() is not None:
            self.trust_env = False  # no proxy and no password of this machine's (.netrc) is for strangers
        return prepare(self, request)

    def adapter(self: requests.Session, url: str) -> Any:
        wire = _wire.get()
        return get_adapter(self, url) if wire is None else _Adapter(wire)

    requests.Session.prepare_request = prepared  # type: ignore[method-assign]
    requests.Session.get_adapter = adapter  # type: ignore[method-assign]


def _doors_of_smtplib() -> None:
    plain, secure = smtplib.SMTP, smtplib.SMTP_SSL
    get_socket, get_secure = (getattr(kind, "_get_socket") for kind in (plain, secure))  # noqa: B009 - they have no type
    getreply, starttls = plain.getreply, plain.starttls

    def connection(self: smtplib.SMTP, host: str, port: int, timeout: float) -> Any:
        wire = _wire.get()
        return get_socket(self, host, port, timeout) if wire is None else wire.dial(self, host, port)

    def secured(self: smtplib.SMTP_SSL, host: str, port: int, timeout: float) -> Any:
        with _certificates():
            return get_secure(self, host, port, timeout)

    def started(self: smtplib.SMTP, *args: Any, **more: Any) -> Any:
        with _certificates():
            return starttls(self, *args, **more)

    def reply(self: smtplib.SMTP) -> tuple[int, bytes]:
        code, text = getreply(self)
        wire = _wire.get()
        if wire is not None:
            wire.replies.append(code)
        return code, text

    plain._get_socket, secure._get_socket = connection, secured  # type: ignore[attr-defined]
    plain.getreply, plain.starttls = reply, started  # type: ignore[method-assign]


@contextlib.contextmanager
def _certificates() -> Iterator[None]:
    """Note a wrong certificate: Apprise would say that there was no connection, and that may pass."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        wire = _wire.get()
        if wire is not None:
            wire.problem = PermanentError(f"the certificate of the mail server is wrong: {error.verify_message}")
        raise


def _afresh() -> None:
    """In a forked child: a lock that a thread of the parent held would stay shut."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_afresh)


class _Adapter:
    """What a session of `requests` sends through."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def send(self, request: Any, *, verify: Any = True, **_more: Any) -> Any:
        """Send a prepared request. Raises requests.ConnectionError, which every plugin expects."""
        import requests  # noqa: PLC0415 - as above

        sent = {name: _line(value) for name, value in request.headers.items() if name.lower() not in _OURS}
        try:
            body = self._wire.body(request.body)
            answer = self._wire.ask(request.method, request.url, sent, body, verify=verify is not False)
        except (TransientError, PermanentError):
            raise requests.ConnectionError("no answer", request=request) from None
        return _response(request, answer)

    def close(self) -> None:
        """Nothing stays open."""


def _response(request: Any, answer: Answer) -> Any:
    import requests  # noqa: PLC0415 - as above

    response = requests.Response()
    response.status_code = answer.status
    # Without it no redirect is followed, whatever the address says of that: the message would be lost on the way.
    response.headers.update({name: value for name, value in answer.headers.items() if name != "location"})
    response.raw = io.BytesIO(answer.body)
    response._content = answer.body
    response._content_consumed = True
    response.encoding = "utf-8"
    response.url, response.request = request.url, request
    return response


def _asks_to_wait(status: int) -> bool:
    return status in (408, 425, 429) or status >= 500


def _with(url: str, query: str) -> str:
    """Without user name and fragment, which are not sent in an address, and with more of a query."""
    parts = urlsplit(url)
    asked = "&".join(one for one in (parts.query, query) if one)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, asked, ""))


def _line(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if not isinstance(body, bytes | bytearray):
        body = body.read(_MAX_BODY + 1) if hasattr(body, "read") else b"".join(body)
    return bytes(body)


def _resolved(caller: Caller, host: str, port: int) -> list[str]:
    return within(caller.limits.connect_s, lambda: caller.resolve(host, port), "the name of the mail server")


def _trusts_anybody() -> ssl.SSLContext:
    """For addresses that say `verify=no`."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
