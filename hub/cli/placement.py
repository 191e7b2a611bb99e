"""Where runs are placed, on a command line: `--label region=berlin --site hall-2`."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter

from hub.runtime.labels import read_labels

Labels: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(name=("--label", "-l"), help="Run at a site with this label, name=value, not here. Repeatable."),
]
Site: TypeAlias = Annotated[str, Parameter(help="Run at this site and no other (name or id).")]


def read(labels: tuple[str, ...], site: str) -> dict[str, Any] | None:
    """The placement; None: here. Raises UsageError."""
    if not labels and not site:
        return None
    return {"labels": read_labels(labels), "site": site}
