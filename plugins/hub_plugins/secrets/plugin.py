"""Where references lead."""

from __future__ import annotations

from collections.abc import Callable

from hub.hookspecs import hookimpl

from hub_plugins.secrets import environment, files
from hub_plugins.secrets.settings import Settings, load
from hub_plugins.secrets.vault import Vault

_RESOLVERS: dict[str, Callable[[str, Settings], str]] = {
    "env": environment.resolve,
    "file": files.resolve,
    "vault": Vault().resolve,
}


@hookimpl
def hub_startup() -> None:
    """Fail, and so stand in the list of plugins, where a setting is wrong; not only when a secret is needed."""
    load()


@hookimpl
def hub_secret_resolve(ref: str) -> str | None:
    """Give what `env:`, `file:` and `vault:` stand for."""
    word, _, rest = ref.partition(":")
    resolver = _RESOLVERS.get(word)
    return None if resolver is None else resolver(rest, load())
