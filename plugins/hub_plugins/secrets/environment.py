"""`env:NAME`: a variable of the process that needs the secret."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

from hub.errors import UnavailableError

from hub_plugins.secrets.settings import PREFIX, Settings

_OWN = "HUB_"
_FREE = "HUB_SECRET_"


def resolve(name: str, settings: Settings) -> str:
    """The value of the variable. Raises UnavailableError."""
    # Whoever may write a connection must not read the hub's own key or database password by it.
    own = name.startswith(_OWN) and not name.startswith(_FREE)
    if own or not any(fnmatchcase(name, pattern) for pattern in settings.env):
        raise UnavailableError(
            f"the variable {name} may not be read: {PREFIX}ENV allows {', '.join(settings.env) or 'none'}"
        )
    value = os.environ.get(name, "")
    if not value:
        raise UnavailableError(f"the environment variable {name} is not set in this process")
    return value
