"""`hub listen`: what comes in at a source is sent on to a program on this machine, bytes and headers as they came."""

from __future__ import annotations

import base64
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from cyclopts import Parameter

from hub.cli import output
from hub.cli.connection import connect, nobody_answers, path
from hub.cli.output import AsJson
from hub.cli.signing import Sign, sign_of
from hub.errors import HubError, NotFoundError, UnavailableError, UsageError
from hub.settings import load_settings
from hub.types import Id, JsonObject, now_us

if TYPE_CHECKING:
    import httpx2

    from hub.client import Client
    from hub.webhooks.request import WebhookRequest

REMEMBERED = 10_000
TIMEOUT_S = 30.0
PAUSE_S = 1.0
_REPLAY = re.compile(r"last:([1-9]\d{0,3})\Z")
_NOT_SENT_ON = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "upgrade", "expect"}
)
T = TypeVar("T")
Accepts = Callable[["Request"], bool]


@dataclass(frozen=True, slots=True)
class Request:
    """A kept request, whole."""

    id: Id
    method: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes = field(repr=False)
    redacted: list[str] | None
    type: str
    delivery: str


def listen(
    source: Annotated[str, Parameter(help="The source's name or id.")],
    *,
    to: Annotated[str, Parameter(help="Where to send them, for example http://localhost:8000/hooks.")],
    filter: Annotated[str | None, Parameter(help="CEL over body, headers, query, method: send only these.")] = None,
    replay: Annotated[str | None, Parameter(help="Begin with those that are here: last:5.")] = None,
    sign: Annotated[bool, Parameter(negative=(), help="Let the hub sign them anew with the source's secret.")] = False,
    sign_with: Annotated[
        str | None,
        Parameter(
            help="Sign them anew with this secret; - reads it, env:NAME takes a variable.", allow_leading_hyphen=True
        ),
    ] = None,
    after: Annotated[int | None, Parameter(help="Go on after this event, as a former one said at its end.")] = None,
    count: Annotated[int | None, Parameter(help="End after so many.")] = None,
    as_json: AsJson = False,
) -> int:
    """Send what comes in at a source on to a local program, until Ctrl-C."""
    import httpx2

    last = _last(replay)
    if urlsplit(to).scheme not in ("http", "https") or not urlsplit(to).hostname:
        raise UsageError(f"--to {to!r} is no address.", hint="Write it whole: http://localhost:8000/hooks")
    accepts = _accepts(filter)
    _refuse_alone()
    failed = 0
    with connect() as client, httpx2.Client(timeout=TIMEOUT_S, trust_env=False) as local:
        known = client.get(path("sources", source))
        inbox, signs = Inbox(client, known, after), sign_of(client, known, sign, sign_with)
        output.error_console().print(f"Listening to {inbox.name}; sending on to {to}.", markup=False)
        with suppress(KeyboardInterrupt):
            for number, request in enumerate(_wanted(inbox.requests(last), accepts), 1):
                said = _send_on(local, to, request, signs)
                inbox.position = inbox.reached
                failed += said["status"] is None
                _print(said, as_json=as_json)
                if number == count:
                    break
        where = f"hub listen {inbox.name} --to {to} --after {inbox.position}"
        output.error_console().print(f"To go on without a gap: {where}", markup=False, soft_wrap=True)
    return 1 if failed and count else 0


class Inbox:
    """The accepted requests of a source, in the order of their events: each once, none left out."""

    def __init__(self, client: Client, source: Mapping[str, Any], after: int | None) -> None:
        self._client = client
        self._source = source
        self._seen: OrderedDict[Id, None] = OrderedDict()
        self.name = str(source["name"])
        self.position = self.reached = _end(client) if after is None else after

    def requests(self, last: int) -> Iterator[Request]:
        """Those asked for of the past, then what comes. `reached` is where the request given stands; who has dealt
        with it makes it the `position`."""
        for receipt_id in self._kept(last):
            yield from self._whole(receipt_id)
        query = {"topics": f"{self._source['preset']}."}
        for message in self._client.stream(query=query, last_id=str(self.position), lost=_tell_lost):
            event: JsonObject = message.data
            self.reached = int(message.id)
            if event["subject"] == self._source["id"] and isinstance(event["body"], dict):
                yield from self._whole(str(event["body"].get("receipt_id", "")))
            self.position = self.reached

    def _kept(self, last: int) -> list[Id]:
        if not last:
            return []
        found = self._client.items("/receipts", {"source": self._source["id"]})
        accepted = (row["id"] for row in found if row["verdict"] in ("accepted", "observed"))
        newest = [str(one) for one, _ in zip(accepted, range(last), strict=False)]
        return newest[::-1]

    def _whole(self, receipt_id: Id) -> Iterator[Request]:
        if not receipt_id or receipt_id in self._seen:
            return  # a batch makes many events of one request
        self._seen[receipt_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        try:
            yield _patient(lambda: _request(self._client, receipt_id))
        except NotFoundError:
            return  # past its retention


def _patient(ask: Callable[[], T]) -> T:
    """What the hub answers, however long it is away."""
    told = False
    while True:
        try:
            return ask()
        except UnavailableError as error:
            if not told:
                _tell_lost(error)
            told = True
            time.sleep(PAUSE_S)


def _end(client: Client) -> int:
    events, _ = client.page("/events", {"limit": 1})
    return int(str(events[0]["seq"])) if events else 0


def _request(client: Client, receipt_id: Id) -> Request:
    found = client.get(path("receipts", receipt_id))
    if found["body_shown"] != found["body_size"]:
        body = client.raw("GET", path("receipts", receipt_id, "body")).content
    else:
        body = base64.b64decode(found["body_base64"]) if found["body"] is None else found["body"].encode()
    headers = [(name, value) for name, value in found["headers"]]
    kind, delivery = found["event_type"] or "", found["delivery_id"] or ""
    return Request(found["id"], found["method"], found["query"], headers, body, found["redacted"], kind, delivery)


def _last(replay: str | None) -> int:
    if replay is None:
        return 0
    found = _REPLAY.match(replay)
    if found is None:
        raise UsageError(f"--replay {replay!r} is not understood.", hint="Write last:5 for the newest five.")
    return int(found[1])


def _accepts(text: str | None) -> Accepts:
    if text is None:
        return lambda _request: True
    from hub.runtime.expressions import compile_expression
    from hub.webhooks.events import request_data
    from hub.webhooks.request import WebhookRequest

    filter = compile_expression(text)

    def accepts(request: Request) -> bool:
        seen = WebhookRequest(request.method, f"?{request.query}", tuple(request.headers), request.body)
        headers = {name: ", ".join(values) for name, values in seen.by_name.items()}
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        asked = {"body": request_data(seen), "headers": headers, "query": query, "method": request.method}
        return filter.matches({**asked, "path": "/in", "event": {"type": request.type}, "source": {}, "now": now_us()})

    return accepts


def _refuse_alone() -> None:
    settings = load_settings()
    if nobody_answers(settings):
        raise UnavailableError(
            "no hub runs here, so nothing comes in", hint="Start `hub up`, or name another one by HUB_API_URL."
        )


def _wanted(requests: Iterator[Request], accepts: Accepts) -> Iterator[Request]:
    for request in requests:
        try:
            wanted = accepts(request)
        except HubError as error:
            print(f"Not sent on: {request.id}: {error.detail}", file=sys.stderr, flush=True)
            continue
        if wanted:
            yield request


def _send_on(local: httpx2.Client, to: str, request: Request, sign: Sign | None) -> dict[str, Any]:
    import httpx2

    begun = time.monotonic()
    status, error = None, ""
    try:
        sent = _made(to, request, sign)
        begun = time.monotonic()
        status = local.request(sent.method, sent.url, content=sent.body, headers=list(sent.headers)).status_code
    except HubError as problem:
        error = f"not sent: {problem.detail}"
    except httpx2.TransportError as problem:
        error = _problem(problem)
    ms = round((time.monotonic() - begun) * 1000, 1)
    names = {"receipt": request.id, "type": request.type, "delivery": request.delivery, "bytes": len(request.body)}
    return {**names, "redacted": request.redacted, "status": status, "ms": ms, "error": error or None}


def _made(to: str, request: Request, sign: Sign | None) -> WebhookRequest:
    """The request as it is sent on. Raises HubError when it cannot be signed."""
    from hub.webhooks.request import WebhookRequest

    headers = tuple((name, value) for name, value in request.headers if _goes_on(name, value))
    joint = "&" if urlsplit(to).query else "?"
    url = f"{to}{joint}{request.query}" if request.query else to
    made = WebhookRequest(request.method, url, headers, request.body)
    return made if sign is None else _patient(lambda: sign(made, request.id, request.delivery))


def _goes_on(name: str, value: str) -> bool:
    from hub.webhooks.redaction import REDACTED

    return name.lower() not in _NOT_SENT_ON and value != REDACTED


def _problem(error: httpx2.TransportError) -> str:
    import httpx2

    if isinstance(error, httpx2.ConnectError):
        return "nothing listens there"
    if isinstance(error, httpx2.TimeoutException):
        return f"no answer in {TIMEOUT_S:g} s"
    return str(error) or type(error).__name__


def _tell_lost(error: UnavailableError) -> None:
    print(f"The hub is away: {error.detail}. Trying again; nothing is skipped.", file=sys.stderr, flush=True)


def _print(said: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json_line(said)
        return
    came = said["error"] or said["status"]
    style = "green" if said["status"] and said["status"] < 400 else "red"
    cut = "  redacted" if said["redacted"] else ""
    line = f"{said['type']:<24} {said['bytes']:>8} bytes  {said['receipt']}{cut}"
    output.say(f"{time.strftime('%H:%M:%S')}  {line}  -> {came} in {said['ms']:g} ms", style=style)
    sys.stdout.flush()
