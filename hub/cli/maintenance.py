"""Small commands that look after an installation."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from hub.cli import output
from hub.cli.connection import connect, local_store
from hub.settings import load_settings
from hub.version import __version__


def migrate() -> None:
    """Bring the database to this version; safe to repeat, and safe while other processes do the same."""
    settings = load_settings()
    with local_store(settings):
        pass
    kind = "PostgreSQL" if settings.sqlite_path is None else str(settings.sqlite_path)
    output.say(f"The database ({kind}) is at this version.")


def openapi(
    *,
    markdown: Annotated[bool, Parameter(negative=(), help="Print a table of operations instead.")] = False,
    access: Annotated[bool, Parameter(negative=(), help="Print which role may ask which route instead.")] = False,
) -> None:
    """Print the OpenAPI document of the API."""
    if access:
        print(_access(), end="")
        return
    with connect() as client:
        document = client.get("/openapi.json")
    if markdown:
        from hub.web.api.openapi import table

        print(table(document), end="")
    else:
        print(json.dumps(document, indent=2, ensure_ascii=False))


def _access() -> str:
    """The table of a web process on this machine's settings and plugins; on a store that holds nothing."""
    from hub.store import open_store
    from hub.web.app import build_app
    from hub.web.matrix import table

    store = open_store("sqlite://")
    try:
        store.migrate()
        return table(build_app(load_settings(), store).routes)
    finally:
        store.close()


def version() -> None:
    """Print the version."""
    print(f"hubspoke {__version__}")
