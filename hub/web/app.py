"""The application: middleware, API, webhook door, health paths and what plugins add, on one store."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute

from hub.plugins import Plugins
from hub.runtime import plugging
from hub.runtime.commands import register_given
from hub.settings import Settings
from hub.store import Store
from hub.web import health
from hub.web.api import (
    access,
    accounts,
    answers,
    artifacts,
    assets,
    automations,
    bookmarks,
    cache,
    catalogs,
    connections,
    deployments,
    dismissals,
    endpoints,
    evaluations,
    events,
    limits,
    orders,
    plugins,
    presets,
    projects,
    receipts,
    results,
    runs,
    variables,
    webhooks,
    work,
)
from hub.web.api.op import Api
from hub.web.api.openapi import document
from hub.web.door.first import DoorFirst
from hub.web.hosts import HostGuard
from hub.web.matrix import Access, Declared
from hub.web.oauth.routes import Routes
from hub.web.problems import HANDLERS, LastResort
from hub.web.services import Services, make_services

log = logging.getLogger("hub.web")
DASHBOARD = "dashboard"
THREADS = 32
"""Requests served at once; fewer than the connections of either store's pool, so that none waits for another."""


def build_app(
    settings: Settings, store: Store, *, plugins: Plugins | None = None, door_only: bool = False
) -> Starlette:
    """Make the application on an open, migrated store. Without `plugins` those installed are loaded."""
    loaded = plugins or plugging.load(settings, process="web", store=store)
    services = make_services(settings, store, loaded)
    api = core_api()
    app = Starlette(
        routes=list(_routes(services, api, door_only=door_only)),
        exception_handlers=HANDLERS,
        lifespan=_lifespan,
        middleware=[
            Middleware(DoorFirst, door=LastResort(services.door)),
            Middleware(
                HostGuard,
                public_url=settings.public_url,
                hosts=(*settings.web_hosts, settings.web_host),
                tls=settings.web_tls_cert is not None,
            ),
            Middleware(LastResort),
        ],
    )
    app.router.redirect_slashes = False  # a redirect would be built from the Host header
    app.state.services = services
    app.state.api = api
    return app


def core_api() -> Api:
    """Every operation of the hub itself, without those of plugins."""
    api = Api()
    for part in (
        runs,
        answers,
        results,
        artifacts,
        assets,
        variables,
        deployments,
        work,
        limits,
        events,
        automations,
        evaluations,
        cache,
        connections,
        webhooks,
        orders,
        endpoints,
        presets,
        projects,
        receipts,
        bookmarks,
        catalogs,
        dismissals,
        plugins,
        access,
        accounts,
    ):
        api.include(part.api)
    return api


def _routes(services: Services, api: Api, *, door_only: bool) -> Iterable[BaseRoute]:
    yield from health.routes()
    yield from services.door.routes()
    if door_only:
        return
    yield from _of_plugins(services, api)
    described = Access(None, "the description of the API; nothing of anybody's")
    yield Declared("/api/v1/openapi.json", _described(api), described, name="openapi")
    yield from Routes(services.settings, services.store, services.auth).all()
    yield from api.routes()
    yield Declared("/", _home, Access(None, "leads to the dashboard"))


def _of_plugins(services: Services, api: Api) -> Iterable[BaseRoute]:
    """Routes of plugins; an `Api` among them becomes part of the API and its description, and brings its pages."""
    hooks = services.plugins.hooks
    register_given(hooks.commands())
    for given in hooks.routes():
        if isinstance(given, Api):
            api.include(given)
            if services.plugins.has(DASHBOARD):
                yield from given.pages()
        elif isinstance(given, BaseRoute):
            yield given
        else:
            log.warning("a plugin gave %s as a route", type(given).__name__)


def _described(api: Api) -> Callable[[Request], Response]:
    """The description is made when first asked for: most processes on this application never are."""

    @functools.cache
    def described() -> dict[str, Any]:
        return document(api)

    def openapi(_request: Request) -> Response:
        return JSONResponse(described())

    return openapi


async def _home(_request: Request) -> Response:
    return RedirectResponse("/ui", 307)


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    services: Services = app.state.services
    await anyio.to_thread.run_sync(services.plugins.hooks.startup)
    try:
        yield
    finally:
        services.stop()
        await anyio.to_thread.run_sync(services.door.close)
        await anyio.to_thread.run_sync(services.plugins.hooks.shutdown, "stopped")
