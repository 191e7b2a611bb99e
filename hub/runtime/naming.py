"""What runs are called: by whoever starts them, else by `flow_run_name`, else after what they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.errors import UsageError
from hub.runtime.executor.texts import NAME_CHARS, clean
from hub.sdk.flows import Flow
from hub.sdk.options import RunName
from hub.types import Id


def default_name(what: str, run_id: Id) -> str:
    """The name of a run that nobody has named: what it runs, and the end of its id."""
    return f"{what}-{run_id[-6:]}"


def run_name(flow: Flow[..., Any], values: Mapping[str, Any], run_id: Id) -> str:
    """The name of a run that is made where its flow is called. Raises UsageError."""
    return rendered(flow.options.run_name, values) or default_name(flow.name, run_id)


def name_at_begin(flow: Flow[..., Any], values: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """The name of a run that was made without its code, now that a worker has both. Raises UsageError.

    A name that was given to it stays, and so does the one that an earlier attempt has rendered.
    """
    if row["name"] != default_name(row["deployment_name"] or row["flow_name"], row["id"]):
        return str(row["name"])
    return rendered(flow.options.run_name, values) or str(row["name"])


def rendered(template: RunName | None, values: Mapping[str, Any]) -> str:
    """A name from its author's template or function; empty when there is none. Raises UsageError."""
    if template is None:
        return ""
    try:
        text = template.format(**values) if isinstance(template, str) else template(values)
    except Exception as error:
        raise UsageError(
            f"the run name {template!r} cannot be made: {type(error).__name__}: {error}",
            hint="A template may use the parameters in braces, as in 'load-{day}'.",
        ) from error
    return clean(str(text), NAME_CHARS).replace("\n", " ")
