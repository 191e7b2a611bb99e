"""A door served by a real uvicorn on a real store, and sources to knock on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import uvicorn
from hub.runtime.commands import Command, apply
from hub.runtime.presets import installed
from hub.settings import Settings
from hub.store import Store, receipts, sources
from hub.store.tables import Effect
from hub.types import Scope, now_us
from hub.web.door import Door
from hub.web.protocol import BoundedProtocol
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.signing import sign
from starlette.applications import Starlette

SCOPE = Scope()
PUSH = b'{"ref":"refs/heads/main","after":"abc"}'
EVENT = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d-1", "Content-Type": "application/json"}


@dataclass
class Served:
    """A running door."""

    store: Store
    door: Door
    port: int
    client: httpx2.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def knock(self, source: Made, body: bytes, headers: dict[str, str] | None = None, **more: Any) -> Any:
        """POST a body to a source, signed as its provider would unless told otherwise."""
        request = source.signed(body, headers or {}, **more)
        return self.post(source.path, request.body, dict(request.headers))

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None, method: str = "POST") -> Any:
        return self.client.request(method, self.url + path, content=body, headers=headers or {})

    def talk(self, data: bytes, *, timeout: float = 15) -> bytes:
        """Send bytes as they are and read until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as conn:
            with contextlib.suppress(ConnectionError):
                conn.sendall(data)
            return read_all(conn)


def read_all(conn: socket.socket) -> bytes:
    answer = b""
    with contextlib.suppress(ConnectionError):
        while chunk := conn.recv(65536):
            answer += chunk
            head, _, rest = answer.partition(b"\r\n\r\n")
            if b"content-length: " + str(len(rest)).encode() in head.lower() and rest:
                break
    return answer


@dataclass
class Made:
    """A source, with what only its maker knows."""

    id: str
    name: str
    preset: str
    token: str
    secret: str
    options: dict[str, str]

    @property
    def path(self) -> str:
        return f"/in/{self.token}"

    def signed(
        self,
        body: bytes,
        headers: dict[str, str],
        *,
        now: int | None = None,
        secret: str | None = None,
        id: str = "d-1",
    ) -> WebhookRequest:
        request = WebhookRequest("POST", "", header_pairs(headers), body)
        preset = installed().get(self.preset)
        return sign(preset, secret or self.secret, request, now=now or now_us(), delivery_id=id, options=self.options)


def make(
    store: Store, preset: str = "github", *, name: str = "a-source", secret: str | None = "s3cret", **more: Any
) -> Made:
    args = {"name": name, "preset": preset, "secret": secret, **more}
    made = apply(store, Command("source.create", SCOPE, "", args)).result
    return Made(made["id"], name, preset, made["token"], secret or "", more.get("options") or {})


def rows(store: Store, **where: Any) -> list[dict[str, Any]]:
    """The receipts, oldest first, with their bytes."""
    with store.read() as tx:
        found = tx.conn.execute(receipts.TABLE.select().order_by(receipts.TABLE.c.id)).mappings().all()
    return [dict(row) for row in found if all(row[name] == value for name, value in where.items())]


def change(store: Store, op: str, target: str, **args: Any) -> dict[str, Any]:
    return apply(store, Command(op, SCOPE, target, args)).result


def source_row(store: Store, name: str) -> dict[str, Any]:
    with store.read() as tx:
        return sources.row(tx, SCOPE, name)


@contextlib.contextmanager
def serve(store: Store, verifiers: Any = None, **settings: Any) -> Iterator[Served]:
    """Serve a door until the block ends."""
    door = Door(Settings(public_url="https://hub.example", **settings), store, installed(), verifiers=verifiers)
    app = Starlette(routes=door.routes())
    sock = socket.create_server(("127.0.0.1", 0))
    # uvicorn would believe X-Forwarded-For of every sender on this machine.
    config = uvicorn.Config(
        app, http=partial(BoundedProtocol, take=door.take),  # type: ignore[arg-type]
        log_level="error", lifespan="off", ws="none", proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])), daemon=True)
    thread.start()
    try:
        with httpx2.Client(timeout=20, limits=httpx2.Limits(max_connections=64)) as client:
            yield Served(store, door, sock.getsockname()[1], client)
    finally:
        server.should_exit = True
        thread.join(10)
        door.close()
        sock.close()


def effects(store: Store) -> list[str]:
    """The keys of the outbox."""
    with store.read() as tx:
        return [row["key"] for row in tx.conn.execute(Effect.__table__.select()).mappings()]  # type: ignore[attr-defined]
