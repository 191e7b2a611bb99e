"""`hub deploy FILE:FLOW`: make a flow something that the hub may start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from hub.cli import controls, output, parameters, placement
from hub.cli.connection import connect, path
from hub.cli.output import AsJson
from hub.cli.schedules import timing
from hub.errors import UsageError


def deploy(
    flow: Annotated[str, Parameter(help="FILE:FLOW, or FILE when it holds one flow.")],
    *,
    name: Annotated[str | None, Parameter(help="Name of the deployment; the flow's without it.")] = None,
    cron: Annotated[str | None, Parameter(help="Start it by this cron expression.")] = None,
    interval: Annotated[float | None, Parameter(help="Start it every so many seconds.")] = None,
    rrule: Annotated[str | None, Parameter(help="Start it as this recurrence rule says.")] = None,
    timezone: Annotated[str, Parameter(help="Time zone of the cron expression or the rule.")] = "UTC",
    label: placement.Labels = (),
    site: placement.Site = "",
    queue: Annotated[str, Parameter(help="The work queue of its runs.")] = "default",
    param: parameters.Pairs = (),
    params: parameters.File = None,
    tag: Annotated[tuple[str, ...], Parameter(help="A tag for its runs; repeatable.")] = (),
    concurrency: Annotated[int | None, Parameter(help="So many of its runs at once.")] = None,
    concurrency_key: Annotated[
        str, Parameter(help="So many for each value of this: 'customer:${params.id}', or CEL as '=params.id'.")
    ] = "",
    overflow: Annotated[
        Literal["enqueue", "cancel-new", "cancel-old"], Parameter(help="What becomes of runs beyond that.")
    ] = "enqueue",
    flow_control: controls.FlowControl = None,
    description: Annotated[str | None, Parameter(help="What it is for; the flow's docstring without it.")] = None,
    paused: Annotated[bool, Parameter(negative=(), help="Make it with its schedules stopped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make or change a deployment. The file must be at the same place on the workers."""
    from hub.runtime.deploying import document
    from hub.runtime.loader import load_flow
    from hub.runtime.parameters import schema

    loaded = load_flow(flow)
    options: dict[str, Any] = {
        "name": name or loaded.name,
        "parameters": parameters.parse(param, params, schema=schema(loaded)),
        "queue": queue,
        "tags": list(tag),
        "concurrency": concurrency,
        "concurrency_key": concurrency_key,
        "overflow": overflow.replace("-", "_"),
        "flow_control": controls.read(flow_control),
        "description": description,
        "paused": paused,
    }
    place = placement.read(label, site)
    if (cron, interval, rrule) != (None, None, None):
        options["schedule"] = {**timing(cron, interval, rrule), "timezone": timezone, "place": place}
    elif place is not None:
        raise UsageError(
            "--label and --site say where the runs of a schedule are made, and none is given",
            hint="Add --cron, --interval or --rrule; one run is placed by `hub sites start`.",
        )
    body = document(loaded, options)
    with connect() as client:
        made = client.put(path("deployments", options["name"]), body)
    if as_json:
        output.print_json(made)
    else:
        command = " ".join(["hub deployments run", made["name"], *(f"-p {one}=..." for one in _needed(made))])
        output.say(f"Deployment {made['name']} stands. Start it: {command}")


def _needed(made: Mapping[str, Any]) -> list[str]:
    """The parameters without which no run of it starts."""
    return [one for one in made["parameter_schema"].get("required", ()) if one not in made["parameters"]]
