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
    *, markdown: Annotated[bool, Parameter(negative=(), help="Print a table of operations instead.")] = False
) -> None:
    """Print the OpenAPI document of the API."""
    with connect() as client:
        document = client.get("/openapi.json")
    if markdown:
        from hub.web.api.openapi import table

        print(table(document), end="")
    else:
        print(json.dumps(document, indent=2, ensure_ascii=False))


def version() -> None:
    """Print the version."""
    print(f"hubspoke {__version__}")
