"""`hub run FILE:FLOW`: a flow in this process, as if a program had called it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hub.cli import output, parameters
from hub.cli.loglines import log_line
from hub.cli.output import AsJson, error_console
from hub.errors import HubError
from hub.sdk.loggers import PRINTED
from hub.types import rfc3339

if TYPE_CHECKING:
    from hub.runtime.homes import LogLine


def run(
    flow: Annotated[str, Parameter(help="FILE:FLOW, or FILE when it holds one flow.")],
    *,
    param: parameters.Pairs = (),
    params: parameters.File = None,
    as_json: AsJson = False,
) -> int:
    """Run a flow in this process. It is journaled and shows up in `hub runs ls`; no server is needed.

    What it logs goes to standard error meanwhile, from HUB_LOG_LEVEL up; its result to standard output at the end.
    """
    from hub.runtime.loader import load_flow, user_lines
    from hub.runtime.parameters import from_json, schema

    loaded = load_flow(flow)
    values = from_json(loaded, parameters.parse(param, params, schema=schema(loaded)))
    began = time.monotonic()
    try:
        with _log_shown():
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


@contextmanager
def _log_shown() -> Iterator[None]:
    """Show what runs in this process log, from the level that the settings name. What they print is seen already."""
    from hub.runtime.homes import home, use

    here, console = home(), error_console()
    least = logging.getLevelNamesMapping()[here.settings.log_level]

    def show(line: LogLine) -> None:
        if line.level >= least and line.logger != PRINTED:
            with suppress(OSError, ValueError):  # a terminal that is gone ends no flow
                console.print(log_line(rfc3339(line.at), line.level, line.message, name=line.name), soft_wrap=True)

    use(replace(here, listener=show))
    try:
        yield
    finally:
        use(here)


def _called(flow: Any, values: dict[str, Any]) -> Any:
    generates = flow._wrapped.generates
    if not flow.is_async:
        return list(flow(**values)) if generates else flow(**values)
    import asyncio

    return asyncio.run(_listed(flow(**values)) if generates else flow(**values))


async def _listed(items: Any) -> list[Any]:
    return [item async for item in items]
