"""Webhooks as providers send them, signed, and the hub's own door to deliver them to, without a server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
from sqlalchemy import select

from hub.client import Client
from hub.client.inprocess import InProcess
from hub.errors import UsageError
from hub.plugins import Plugins
from hub.runtime.presets import installed, installed_signer
from hub.settings import Settings
from hub.store import events, receipts
from hub.store.base import Store
from hub.testing.records import Run
from hub.types import Micros, new_id, now_us
from hub.web.app import build_app
from hub.webhooks.events import event_type
from hub.webhooks.preset import Preset
from hub.webhooks.samples import as_bytes, example
from hub.webhooks.scheme import (
    BasicScheme,
    EcdsaScheme,
    Ed25519Scheme,
    HmacScheme,
    NoScheme,
    PluginScheme,
    StandardScheme,
)
from hub.webhooks.signing import sign

_URL = "https://hub.example/in/a-test"
_BASE = "http://127.0.0.1"
_SECRET = "a secret of tests, known to all"  # noqa: S105 - it protects nothing


@dataclass(frozen=True)
class FakeWebhook:
    """A signed request. `dataclasses.replace(hook, body=b"...")` changes it without signing it again: a forgery."""

    preset: str
    event: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    secret: str = field(repr=False, default=_SECRET)
    options: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Delivered:
    """What came of a delivery: the answer, its receipt (None when none is kept), the events, the runs that started."""

    status: int
    answer: Any
    """JSON where it is JSON, else text."""
    receipt: Mapping[str, Any] | None
    events: tuple[Mapping[str, Any], ...]
    runs: tuple[Run, ...]

    @property
    def run(self) -> Run:
        """The one run that it started. Raises UsageError when it was none or several."""
        if len(self.runs) != 1:
            why = (self.receipt or {}).get("reason") or f"answered {self.status}"
            raise UsageError(
                f"the delivery started {len(self.runs)} runs", hint=f"{why}; events {[e['type'] for e in self.events]}"
            )
        return self.runs[0]


def webhook(
    preset: str, event: str | None = None, *, secret: str | None = None, body: Any = None,
    headers: Mapping[str, str] | None = None, options: Mapping[str, str] | None = None, id: str | None = None,
    at: Micros | None = None, url: str = _URL,
) -> FakeWebhook:  # fmt: skip
    """A webhook as the provider of `preset` sends and signs it.

    `event` is one of the preset's samples or of its event types (`hub webhooks presets` lists them; without it the
    first sample); `body` (bytes, text, or JSON) replaces the sample's. Each call makes another delivery with an id of
    its own; `id` names one, `at` is the time of signing in microseconds, `url` where it is sent. Raises NotFoundError
    for an unknown preset, UsageError.
    """
    found = installed().get(preset)
    chosen = dict(options or {})
    given = _SECRET if secret is None else secret
    key = _secret_for(found, chosen) if secret is None else given
    ident = id or new_id()
    raw = None if body is None else as_bytes(body)
    request = example(found, event, url=url, options=chosen, body=raw, headers=headers, delivery=ident, named=bool(id))
    signed = sign(
        found, key, request, now=at or now_us(), delivery_id=ident, options=chosen, signer=installed_signer()
    )  # fmt: skip
    name = event_type(found, signed, chosen)
    return FakeWebhook(
        preset, name, signed.method, signed.url, dict(signed.headers), signed.body, key, chosen
    )  # fmt: skip


def _secret_for(preset: Preset, options: Mapping[str, str]) -> str:
    scheme, raw = preset.rules(options).verify, _SECRET.encode()
    if isinstance(scheme, StandardScheme):
        return "whsec_" + base64.b64encode(raw).decode()
    if isinstance(scheme, Ed25519Scheme | EcdsaScheme):
        raise UsageError(f"preset {preset.id} is verified by a public key", hint="Give secret=, the private key.")
    if isinstance(scheme, BasicScheme):
        return "tester:" + _SECRET.replace(" ", "-")
    if isinstance(scheme, PluginScheme):
        return raw.hex()  # a text to most, and the hex that some want
    match scheme.secret_encoding if isinstance(scheme, HmacScheme) else "":
        case "hex":
            return raw.hex()
        case "base64":
            return base64.b64encode(raw).decode()
    return "" if isinstance(scheme, NoScheme) else _SECRET.replace(" ", "-").replace(",", "")


def _answered(answer: httpx2.Response) -> Any:
    return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


class Doorway:
    """The whole application of a hub in this process: its API, and its door with the sources that tests need."""

    def __init__(self, settings: Settings, store: Store, plugins: Plugins) -> None:
        self._settings = settings
        self._store = store
        self._app = build_app(settings, store, plugins=plugins)
        self._transport = InProcess(self._app)
        self.client = Client(_BASE, transport=self._transport, tries=1)
        self._http = httpx2.Client(base_url=_BASE, transport=self._transport)
        self._paths: dict[tuple[str, str, tuple[tuple[str, str], ...]], str] = {}

    def webhook(self, preset: str, event: str | None = None, *, source: str | None = None, **more: Any) -> FakeWebhook:
        """A webhook that is signed for a source of this hub. See `Hub.webhook`."""
        made = webhook(preset, event, **more)
        if "url" in more:
            return made
        path = self._path(made, name=source)
        return webhook(preset, event, **more, url=f"{self._settings.public_url.rstrip('/')}{path}")

    def deliver(self, sent: FakeWebhook, settle: Callable[[], None], look: Callable[[], list[Run]]) -> Delivered:
        """Send it, let `settle` do what follows, and see what is new."""
        path = urlsplit(sent.url)
        target = path.path if path.path in self._paths.values() else self._path(sent)
        before, seen, noted = {run.id for run in look()}, self._receipts(), self._events()
        answer = self._http.request(
            sent.method, target + (f"?{path.query}" if path.query else ""), content=sent.body,
            headers=list(sent.headers.items()),
        )  # fmt: skip
        settle()
        after, said = self._receipts(), _answered(answer)
        new = next((row for key, row in after.items() if key not in seen), None)
        happened = [row for key, row in self._events().items() if key not in noted]
        started = [run for run in look() if run.id not in before and run.origin == "automation"]
        return Delivered(
            answer.status_code, said, new or after.get(said.get("receipt", "") if isinstance(said, dict) else ""),
            tuple(row for row in happened if not row["type"].startswith("hub.")), tuple(started),
        )  # fmt: skip

    def page(self, path: str) -> str:
        """See `Hub.page`."""
        answer = self._http.get(path, follow_redirects=True)
        if answer.status_code != 200:
            raise UsageError(f"the page {path} answers {answer.status_code}", hint="Is the plugin dashboard loaded?")
        return answer.text

    def _path(self, sent: FakeWebhook, *, name: str | None = None) -> str:
        """The address of the source that takes this webhook; made if need be."""
        key = (name or sent.preset, sent.secret, tuple(sorted(sent.options.items())))
        if key not in self._paths:
            body: dict[str, Any] = {"name": name or f"{sent.preset}-{len(self._paths)}", "preset": sent.preset}
            body |= {"options": dict(sent.options), "secret": sent.secret or None}
            made = self.client.post("/sources", body)
            self._paths[key] = urlsplit(str(made["url"])).path
        return self._paths[key]

    def _receipts(self) -> dict[str, dict[str, Any]]:
        return self._rows(receipts.TABLE)

    def _events(self) -> dict[str, dict[str, Any]]:
        return self._rows(events.TABLE)

    def _rows(self, table: Any) -> dict[str, dict[str, Any]]:
        with self._store.read() as tx:
            rows = tx.conn.execute(select(table).order_by(table.c.id)).mappings()
            return {str(row["id"]): dict(row) for row in rows}

    def close(self) -> None:
        """End its thread, commit what the door has promised."""
        self._http.close()
        self.client.close()
        self._transport.close()
        services = self._app.state.services
        services.stop()
        services.door.close()
