"""`hub settings`: what is set, and from where."""

from __future__ import annotations

import os
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import SecretStr

from hub.cli import output
from hub.cli.output import AsJson, Column
from hub.settings import Settings, load_settings

COLUMNS = (
    Column("SETTING", "name"),
    Column("VALUE", "value"),
    Column("FROM", "source"),
    Column("WHAT", "description"),
)


def settings(
    *,
    markdown: Annotated[bool, Parameter(negative=(), help="Print the table of docs/settings.md.", show=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting, its value and where it comes from. Secrets are not shown."""
    if markdown:
        print(markdown_table(), end="")
        return
    output.table(list(rows(load_settings())), COLUMNS, as_json=as_json, empty="")


def rows(loaded: Settings) -> list[dict[str, Any]]:
    """One row a setting."""
    return [
        {
            "name": name,
            "variable": f"HUB_{name.upper()}",
            "value": _shown(getattr(loaded, name)),
            "source": _source(name, loaded),
            "description": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]


def markdown_table() -> str:
    """All settings with their defaults as a Markdown table."""
    lines = ["| setting | variable | default | what it is |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = _shown(field.default)
        plain = ",".join(map(str, default)) if isinstance(default, list) else str(default)
        text = f"`{plain}`" if plain else ""
        lines.append(f"| `{name}` | `HUB_{name.upper()}` | {text} | {field.description} |")
    return "\n".join(lines) + "\n"


def _source(name: str, loaded: Settings) -> str:
    variable = f"HUB_{name.upper()}"
    if variable in os.environ or f"{variable}_FILE" in os.environ:
        return "environment"
    if name == "home" or getattr(loaded, name) == Settings.model_fields[name].default:
        return "default"
    return "hub.toml"


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, int | float | bool) else str(value)
