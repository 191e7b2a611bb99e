"""Flow control on a command line: a YAML or JSON file, or the text itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter

from hub.errors import UsageError

FlowControl: TypeAlias = Annotated[
    str | None,
    Parameter(
        help="What is done with requests for runs: a YAML or JSON file, or the text itself: '{debounce: {period: 5s}}'."
    ),
]
MAX_BYTES = 100_000


def read(given: str | None) -> dict[str, Any]:
    """The controls as they were written; nothing for None. Raises UsageError."""
    if given is None:
        return {}
    import yaml

    text = given if given.lstrip().startswith("{") else _file(given)
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"--flow-control is neither YAML nor JSON: {' '.join(str(error).split())[:500]}") from None
    if isinstance(found, dict) and set(found) == {"flow_control"}:
        found = found["flow_control"]
    if not isinstance(found, dict):
        hint = "For example {debounce: {period: 5s}}."
        raise UsageError(f"--flow-control must be an object of controls, not {type(found).__name__}.", hint=hint)
    return found


def _file(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise UsageError(f"{name} is larger than {MAX_BYTES} bytes.")
        return text.decode()
    except (OSError, ValueError) as error:
        raise UsageError(f"--flow-control: {name} cannot be read: {error}.") from None
