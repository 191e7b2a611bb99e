"""`hub visualize FILE:FLOW`: a picture of what a flow would do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from hub.cli import output, parameters
from hub.errors import HubError


def visualize(
    flow: Annotated[str, Parameter(help="FILE:FLOW, or FILE when it holds one flow.")],
    *,
    param: parameters.Pairs = (),
    params: parameters.File = None,
    format: Annotated[
        Literal["svg", "mermaid"] | None, Parameter(help="What to print: mermaid unless you say svg.")
    ] = None,
    out: Annotated[Path | None, Parameter(help="Write to this file: .svg, .mmd or .md.")] = None,
) -> int:
    """Draw what a flow would do with these parameters. Its function is called, its tasks are not."""
    from hub.runtime.loader import load_flow, user_lines
    from hub.runtime.parameters import from_json, schema

    loaded = load_flow(flow)
    values = from_json(loaded, parameters.parse(param, params, schema=schema(loaded)))
    try:
        picture = loaded.visualize(**values)
    except HubError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever user code raised is shown as its own
        print(user_lines(error), end="", file=sys.stderr)
        return 1
    if out is None:
        print(picture.svg if format == "svg" else picture.mermaid, end="")
    elif format is None:
        output.say(f"Wrote {picture.save(out)}")
    else:
        out.write_text(picture.svg if format == "svg" else picture.mermaid, encoding="utf-8")
        output.say(f"Wrote {out}")
    return 0
