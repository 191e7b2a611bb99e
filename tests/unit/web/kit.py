"""A small application for tests of the HTTP layer: real middleware, real endpoint layer, no store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hub.types import Actor, Scope
from hub.web.api.op import Api
from hub.web.hosts import HostGuard
from hub.web.problems import HANDLERS, LastResort
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request


@dataclass
class Everyone:
    """Lets everybody in, and keeps what was asked for."""

    store: Any = None
    asked: list[str | None] = field(default_factory=list)

    def authorize(self, request: Request, needs: str | None) -> Scope:
        self.asked.append(needs)
        return Scope(actor=Actor("local"))


def small_app(api: Api, **guard: Any) -> Starlette:
    app = Starlette(
        routes=api.routes(),
        exception_handlers=HANDLERS,
        middleware=[Middleware(HostGuard, **guard), Middleware(LastResort)],
    )
    app.state.services = Everyone()
    return app
