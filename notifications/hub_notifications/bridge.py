"""Sending through Apprise: the only user of it.

A plugin of Apprise is called in our own thread, not through `Apprise.notify`: no pool that a fork leaves dead, no
thread that goes on after it was given up, no retry, redirect or pause of its own. What it sends goes through the
`Wire`. Services that speak neither HTTP nor SMTP have no wire; they are called `beside` us.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from hub.channels import Outgoing, Sent
from hub.errors import DeclinedError, PermanentError, TransientError

from hub_notifications import beside, incidents
from hub_notifications.answers import failure_of, mail_failure, message_id, not_taken
from hub_notifications.limits import is_corrected, limits_of, service_of
from hub_notifications.places import narrowed
from hub_notifications.reach import Reach
from hub_notifications.wire import Wire, wired

_TALKATIVE = ("apprise", "urllib3", "requests")
"""Only Apprise uses these here, and their lines hold whole addresses."""
_KINDS = {"info": "info", "warning": "warning"}
_QUERIES = {"discord": "wait=true"}
"""Discord says what it calls the message, and whether it is one, only when it is asked to."""
_ONCE = {"resend": "Idempotency-Key"}
"""Services that leave out what they have taken already, and the header by which they know it."""
_AS_IT_IS = frozenset({"mmost", "mmosts"})
"""Services that show Markdown, of which Apprise does not know it: it would make plain text of it."""
_OTHER_WAYS = ("socket", "mqtt", "pika", "proton", "subprocess", "smpplib", "slixmpp", "gntp", "asyncio")
"""Modules of which one in a plugin means that it does not speak by HTTP alone."""
_lock = threading.Lock()


def send(message: Outgoing, reach: Reach) -> Sent:
    """Send a message through Apprise. Raises TransientError, PermanentError, DeclinedError."""
    with quiet() as said:
        plugin = instantiate(message.address, sender=message.sender)
        reach = narrowed(reach, plugin.schema)
        if plugin.schema in incidents.SERVICES:
            return incidents.send(plugin, message, reach)
        tame(plugin, reach.timeout_s)
        if is_corrected(plugin):
            _, plugin.body_maxlen = limits_of(plugin)
        call = _call(plugin, message)
        if not speaks_by_wire(plugin):
            return beside.limited(lambda: _alone(call), message.ident, reach.timeout_s)
        again = {_ONCE[plugin.schema]: message.ident} if plugin.schema in _ONCE and message.ident else {}
        wire = Wire(reach, headers=again, query=_QUERIES.get(plugin.schema, ""))
        began = time.monotonic()
        with wired(wire):
            taken = _taken(call)
        elapsed = time.monotonic() - began
        if taken is not True and message.attachments and _took_the_text(wire):
            return Sent(message_id(wire.answers[0]), wire.answers[0].status, elapsed)
        return _outcome(wire, taken, said, elapsed)


def load() -> Any:
    """Apprise: 0.3 s and 25 MB with its plugins, so only where it is used. The caller holds `quiet`."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import apprise  # noqa: PLC0415
        from apprise.manager_plugins import NotificationManager  # noqa: PLC0415

        NotificationManager().load_modules()
    return apprise


def instantiate(address: str, *, sender: str = "Hubspoke") -> Any:
    """The plugin of an address; the caller holds `quiet`. Raises PermanentError, whose text may hold parts of it."""
    apprise = load()
    asset = apprise.AppriseAsset(app_id=sender, app_desc=sender, http_redirects=False, image_url_mask="")
    try:
        plugin = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=False)
    except Exception as error:  # noqa: BLE001 - each service's class raises what it likes
        raise PermanentError(f"the address is not complete: {error}") from None
    if plugin is None:
        raise PermanentError("the address is not one that can be used")
    return plugin


def tame(plugin: Any, seconds: float) -> None:
    """Take away what an address can ask for and only the hub decides: retries, redirects, pauses, splitting, and
    that a failure counts as none (`optional=yes`)."""
    plugin.redirects = plugin.optional = plugin.interpret_emojis = False
    plugin.service_retry, plugin.request_rate_per_sec = 0, 0.0
    plugin.overflow_mode = load().OverflowMode.TRUNCATE
    plugin.socket_connect_timeout = plugin.socket_read_timeout = seconds
    plugin.throttle = _no_pause


def speaks_by_wire(plugin: Any) -> bool:
    """Whether the service is reached by HTTP or SMTP alone, as far as Apprise's modules show."""
    names = {base.__module__ for base in type(plugin).__mro__ if base.__module__.startswith("apprise.plugins.")}
    names.discard("apprise.plugins.base")
    found = [vars(sys.modules[name]) for name in names if name in sys.modules]
    mail = any(name.startswith("apprise.plugins.email") for name in names)
    sockets = any(word in known for known in found for word in _OTHER_WAYS)
    return mail or (not sockets and any("requests" in known for known in found))


@contextlib.contextmanager
def quiet() -> Iterator[list[str]]:
    """Keep the libraries' log lines, which hold whole addresses, out of ours; gives those of this thread."""
    said: list[str] = []
    handler = _Keeper(said)
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
    logging.getLogger("apprise").addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger("apprise").removeHandler(handler)


class _Keeper(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._said, self._thread = said, threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self._said) < 20:
            self._said.append(record.getMessage()[:300])


def _call(plugin: Any, message: Outgoing) -> Callable[[], bool]:
    apprise = load()
    kinds, formats = apprise.NotifyType, apprise.NotifyFormat
    kind = kinds.SUCCESS if message.status == "resolved" else kinds(_KINDS.get(message.severity, "failure"))
    # Said to be text, or a service that shows HTML would show what a failed run wrote as HTML.
    is_markup = message.format in ("markdown", "html") and service_of(plugin) not in _AS_IT_IS
    written = formats(message.format) if is_markup else formats.TEXT
    files = _files(plugin, message)
    return lambda: bool(
        plugin.notify(
            body=message.text or message.title, title=message.title if message.text else "", notify_type=kind,
            body_format=written, attach=files,
        )
    )  # fmt: skip


def _files(plugin: Any, message: Outgoing) -> Any:
    if not message.attachments or not plugin.attachment_support:
        return None
    from apprise.attachment.memory import AttachMemory  # noqa: PLC0415 - loaded with Apprise

    files = load().AppriseAttachment()
    for one in message.attachments:
        files.add(AttachMemory(content=one.content, name=one.name, mimetype=one.media_type))
    return files


def _taken(call: Callable[[], bool]) -> bool | Exception:
    """An exception is the plugin's own fault. Its text may hold the address."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - each service's class raises what it likes
        return error


def _outcome(wire: Wire, taken: bool | Exception, said: list[str], elapsed: float) -> Sent:
    if taken is True:
        return _sent(wire, elapsed)
    if wire.problem is not None:
        raise wire.problem
    if wire.answers and not 200 <= wire.answers[-1].status < 300:
        raise failure_of(wire.answers[-1])
    refused = next((code for code in wire.replies if code >= 400), None)
    if refused is not None:
        raise mail_failure(refused)
    if wire.left == 0.0:
        raise TransientError("no answer in time; the message may have arrived all the same")
    if wire.answers:
        raise not_taken(wire.answers[-1])
    if isinstance(taken, Exception):
        raise DeclinedError(f"Apprise cannot make a message of it for this service: {type(taken).__name__}")
    raise TransientError("; ".join(said[-2:]) or "the service did not take the message")


def _took_the_text(wire: Wire) -> bool:
    """Whether the first of several requests was taken: a file that follows and is refused must not double the text."""
    several = len(wire.answers) > 1 or wire.problem is not None
    return several and bool(wire.answers) and 200 <= wire.answers[0].status < 300


def _alone(call: Callable[[], bool]) -> Sent:
    """The outcome of a service whose connection is not seen: taken or not is all that is known."""
    with quiet() as said:
        if _taken(call) is not True:
            raise TransientError("; ".join(said[-2:]) or "the service did not take the message")
    return Sent()


def _sent(wire: Wire, elapsed: float) -> Sent:
    if wire.answers:
        answer = wire.answers[-1]
        return Sent(message_id(answer), answer.status, elapsed)
    return Sent(status=next((code for code in reversed(wire.replies) if code == 250), None), elapsed=elapsed)


def _afresh() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_afresh)


def _no_pause(*_args: Any, **_more: Any) -> None:
    """The hub has its own limits of rate."""
