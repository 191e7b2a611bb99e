"""Reaching a service once, to see whether a connection works."""

from __future__ import annotations

import os
from typing import Any

from hub.errors import PermanentError, TransientError
from hub.secretfields import scrubbed

from hub_plugins.storage import postgresql as database
from hub_plugins.storage.settings import Files, Http, Postgresql


def files(settings: Files) -> str:
    """Whether the folder is there and can be written."""
    if not os.path.isdir(settings.path):
        raise PermanentError(f"{settings.path} is no folder on this machine")
    if not os.access(settings.path, os.R_OK | os.W_OK | os.X_OK):
        raise PermanentError(f"the hub's user may not write to {settings.path}")
    return f"{settings.path} can be read and written"


def http(settings: Http) -> str:
    """Whether the service answers, and takes the credential."""
    import httpx2  # noqa: PLC0415 - a quarter of a second that a flow should not pay

    given: dict[str, Any] = {}
    if settings.token is not None:
        given["headers"] = {"authorization": f"Bearer {settings.token.get_secret_value()}"}
    elif settings.user:
        given["auth"] = (settings.user, settings.password.get_secret_value() if settings.password else "")
    try:
        answer = httpx2.get(settings.url, timeout=settings.timeout, follow_redirects=False, **given)
    except httpx2.HTTPError as error:
        raise TransientError(scrubbed(f"{type(error).__name__}: {error}", settings)) from None
    except UnicodeEncodeError:
        # Its text may hold the secret.
        raise PermanentError("no request can be made: the address or the credential is not ASCII") from None
    except (httpx2.InvalidURL, ValueError) as error:
        raise PermanentError(scrubbed(f"its address is none: {error}", settings)) from None
    if answer.status_code in (401, 403):
        raise PermanentError(f"it refuses the credential ({answer.status_code})")
    if answer.status_code >= 500:
        raise TransientError(f"it answers {answer.status_code}")
    return f"it answers {answer.status_code}"


def postgresql(settings: Postgresql) -> str:
    """Whether the database lets us in."""
    with database.connected(settings) as connection:
        row = connection.execute("SELECT current_database(), split_part(version(), ' ', 2)").fetchone()
    return f"database {row[0]} of PostgreSQL {row[1]}" if row else "it answers"
