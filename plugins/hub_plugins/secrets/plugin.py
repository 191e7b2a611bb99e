"""Where references lead."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hub.hookspecs import hookimpl
from hub.plugins import DocsPage

from hub_plugins.secrets import environment, files
from hub_plugins.secrets.settings import PREFIX, Settings, load
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


@hookimpl
def hub_docs_pages() -> Iterator[DocsPage]:
    """Say what may be read, and by which variables that is set."""
    rows = [f"| `{PREFIX}{name.upper()}` | {field.description} |" for name, field in Settings.model_fields.items()]
    table = "\n".join(["| variable | what it is |", "|---|---|", *rows])
    text = "A secret of a connection or a source may be `env:NAME`, `file:/PATH` or `vault:MOUNT/PATH#KEY`."
    yield DocsPage("What may be read", f"{text}\n\n{table}\n")
