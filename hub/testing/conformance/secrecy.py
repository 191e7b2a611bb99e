"""A secret that nobody else has, given to a plugin wherever it takes one, and looked for in all that comes out."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import BaseModel

from hub.channels import ChannelKind, Outgoing
from hub.connections import ConnectionKind
from hub.secretfields import secret_names, split
from hub.testing.conformance import examples
from hub.testing.conformance.rules import Broken, NotHere
from hub.testing.conformance.subject import Subject
from hub.types import now_us
from hub.webhooks.request import WebhookRequest
from hub.webhooks.scheme import PluginScheme
from hub.webhooks.secrets import SecretValue

CANARY = "canary7d1f0c55a2b94e6c"
_WORD = re.compile(r"\b[A-Z][A-Z0-9_]+\b")


@dataclass
class Heard:
    """What came out of a call: its error, and whatever was logged or printed."""

    error: BaseException | None = None
    value: Any = None
    logged: list[str] = field(default_factory=list)
    printed: str = ""

    def told(self) -> Iterator[tuple[str, str]]:
        """Where a text was found, and the text."""
        yield from (("a log line", line) for line in self.logged)
        yield "its output", self.printed
        if self.error is not None:
            yield "an error", "".join(traceback.format_exception_only(self.error))
            cause = self.error.__cause__
            if cause is not None:
                yield "the cause of an error", str(cause)


def look(subject: Subject) -> None:
    """Give the canary to all that takes secrets. Raises Broken that says where it came out, NotHere if nothing does."""
    asked = False
    with contextlib.suppress(NotHere):
        for kind in subject.connections:
            asked = _connection(kind) or asked
    with contextlib.suppress(NotHere):
        for channel in subject.channels:
            asked = _channel(channel) or asked
    if subject.config is not None and secret_names(subject.config):
        asked = _shown(subject.config)
    if subject.has("hub_webhook_verify"):
        asked = _verifiers(subject) or asked
    if not asked:
        raise NotHere("it takes no secret")


def heard(call: Callable[[], Any]) -> Heard:
    """Call something while nothing on the network answers, and note all that it says."""
    found, printed = Heard(), io.StringIO()
    keeper = _Keeper(found.logged)
    root = logging.getLogger()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), nobody_answers():
            found.value = call()
    except Exception as error:  # noqa: BLE001 - what it raises is looked at
        found.error = error
    finally:
        root.removeHandler(keeper)
        root.setLevel(level)
    found.printed = printed.getvalue()
    return found


class _Keeper(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.NOTSET)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += "".join(traceback.format_exception(*record.exc_info))
        self._lines.append(text)


@contextlib.contextmanager
def nobody_answers() -> Iterator[None]:
    """Have Python's sockets refuse every connection and know no name. Libraries in C are given addresses of nobody."""

    def refuse(*_given: Any, **_more: Any) -> Any:
        raise ConnectionRefusedError(111, "nobody answers here")

    known = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex")}
    look_up = socket.getaddrinfo
    try:
        for name in known:
            setattr(socket.socket, name, refuse)
        socket.getaddrinfo = refuse
        yield
    finally:
        socket.getaddrinfo = look_up
        for name, function in known.items():
            setattr(socket.socket, name, function)


def closed_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def nobodys(kind: ConnectionKind, secret: str = CANARY) -> BaseModel:
    """Settings of a service that is not there, with a secret."""
    values = dict.fromkeys(kind.secrets(), secret) | examples.unreachable(kind.settings, closed_port())
    return examples.settings_of(kind.settings, values)


def _connection(kind: ConnectionKind) -> bool:
    settings = nobodys(kind)
    _, secret = split(settings)
    if CANARY not in secret.values():
        return False
    _shown(kind.settings, settings)
    if kind.check is not None:
        check = kind.check
        _silent(heard(lambda: check(settings)), f"the check of {kind.name}")
    return True


def _shown(model: type[BaseModel], known: BaseModel | None = None) -> bool:
    settings = known or examples.settings_of(model, dict.fromkeys(secret_names(model), CANARY))
    name = model.__name__
    texts = {"repr": repr(settings), "str": str(settings), "JSON": settings.model_dump_json()}
    for what, text in texts.items():
        if CANARY in text:
            raise Broken(f"the {what} of {name} shows its secret: leave that to pydantic's SecretStr")
    if CANARY in repr(split(settings)[0]):
        raise Broken(f"{name} puts its secret into a field that is none: make that field a SecretStr")
    return True


def address_of(kind: ChannelKind, secret: str = CANARY) -> str:
    """An address of the form that its example has, with the secret for every word in capitals but hosts and ports."""
    known = {"HOST": "127.0.0.1", "HOSTNAME": "127.0.0.1", "PORT": str(closed_port())}
    text = kind.example or f"{kind.scheme}://NAME"
    return _WORD.sub(lambda word: known.get(word.group(), secret), text)


def _channel(kind: ChannelKind) -> bool:
    address = address_of(kind)
    if CANARY not in address:
        return False
    message = Outgoing(address, "A title", "A text", ident="conformance", key="conformance")
    sent = heard(lambda: kind.send(message))
    # Its errors may repeat the address: the hub takes that out. What it logs and prints goes past the hub.
    sent.error = None
    _silent(sent, f"{kind.scheme}://")
    return True


def _verifiers(subject: Subject) -> bool:
    asked = False
    request = WebhookRequest("POST", "https://hub.example/in/x", (("Content-Type", "application/json"),), b"{}")
    with contextlib.suppress(NotHere):
        for preset in subject.presets:
            scheme = preset.rules(options_of(preset)).verify
            if isinstance(scheme, PluginScheme):
                asked = True
                name = scheme.kind.removeprefix("plugin:")
                source = {"verifier": name, "settings": dict(scheme.settings), "now": now_us()}
                secrets = [SecretValue("s", CANARY)]
                ask = partial(subject.loaded.hooks.webhook_verify, source=source, request=request, secrets=secrets)
                one = heard(ask)
                one.logged.append(repr(one.value))
                one.logged += subject.failures("hub_webhook_verify")
                _silent(one, f"the verifier {name}")
    return asked


def options_of(preset: Any) -> dict[str, str]:
    """Options for a preset that has some without a default."""
    return {name: one.example for name, one in preset.options.items() if one.default is None}


def _silent(found: Heard, what: str) -> None:
    for where, text in found.told():
        if CANARY in text:
            raise Broken(
                f"{what} lets a secret out in {where}: say what is wrong without it (hub.connections.scrubbed)"
            )
