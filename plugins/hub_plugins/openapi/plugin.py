"""The kind of connection and the actions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hub.connections import ConnectionKind
from hub.errors import PermanentError, TransientError
from hub.hookspecs import hookimpl

from hub_plugins.openapi.settings import OpenApi

if TYPE_CHECKING:
    from hub.actions import Action


def check(settings: OpenApi) -> str:
    """Whether the document can be read, and a token be had."""
    from hub_plugins.openapi.client import Client, OpenApiError  # noqa: PLC0415 - few processes ask

    client = Client(settings)
    try:
        if settings.auth == "oauth2":
            client._token()
        return f"{len(client.document.operations)} operations at {client.url}"
    except OpenApiError as error:
        passes = error.error_class is not None or error.status == 429 or (error.status or 0) >= 500
        raise (TransientError if passes else PermanentError)(str(error)) from None


@hookimpl
def hub_connection_kinds() -> Iterator[ConnectionKind]:
    """Give the kind `openapi`."""
    yield ConnectionKind("openapi", "An HTTP API that an OpenAPI document describes.", OpenApi, check)


@hookimpl
def hub_actions() -> Iterator[Action]:
    """Give what a flow or an automation can do with an API."""
    from hub.actions import Action  # noqa: PLC0415 - loaded where actions are asked for

    from hub_plugins.openapi import tasks  # noqa: PLC0415

    yield Action("call", tasks.call, "Call an operation of the API.", effect="again")
    yield Action("pages", tasks.pages, "Give all items of an operation that has pages.", effect="none")
