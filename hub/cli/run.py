"""`hub run FILE:FLOW`: a flow in this process, as if a program had called it."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

from cyclopts import Parameter

from hub.cli import output, parameters
from hub.cli.output import AsJson, error_console
from hub.errors import HubError


def run(
    flow: Annotated[str, Parameter(help="FILE:FLOW, or FILE when it holds one flow.")],
    *,
    param: parameters.Pairs = (),
    params: parameters.File = None,
    as_json: AsJson = False,
) -> int:
    """Run a flow in this process. It is journaled and shows up in `hub runs ls`; no server is needed."""
    from hub.runtime.loader import load_flow, user_lines
    from hub.runtime.parameters import from_json, schema

    loaded = load_flow(flow)
    values = from_json(loaded, parameters.parse(param, params, schema=schema(loaded)))
    began = time.monotonic()
    try:
        result = _called(loaded, values)
    except HubError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever user code raised is shown as its own
        print(user_lines(error), end="", file=sys.stderr)
        error_console().print(f"[red]Flow {loaded.name} failed[/] after {output.duration(time.monotonic() - began)}.")
        return 1
    if as_json:
        output.print_json({"flow": loaded.name, "seconds": round(time.monotonic() - began, 6), "result": result})
    else:
        tail = "" if result is None else f": {result!r}"
        output.say(f"Flow {loaded.name} completed in {output.duration(time.monotonic() - began)}{tail}")
    return 0


def _called(flow: Any, values: dict[str, Any]) -> Any:
    if not flow.is_async:
        return flow(**values)
    import asyncio

    return asyncio.run(flow(**values))
