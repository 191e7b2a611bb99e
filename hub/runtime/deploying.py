"""A flow as the hub's API takes it: what `flow.deploy(...)` and `hub deploy` send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.errors import ParameterError
from hub.runtime.executor.retrying import default_of_flows, with_default
from hub.runtime.loader import code_digest, entrypoint_of
from hub.runtime.parameters import schema
from hub.sdk.flows import Flow
from hub.settings import load_settings
from hub.store.hooks import ENDS


def document(flow: Flow[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The deployment of `flow`. `options`: parameters, tags, queue, description, paused; schedule when one is given.

    Raises FlowLoadError for a flow that no worker could find, ParameterError for a parameter that it does not have.
    """
    described = schema(flow)
    given = dict(options.get("parameters") or {})
    _refuse_unknown(flow, given, described)
    # Kept with the deployment: its runs are the same whoever makes them.
    retry = with_default(flow.options.retry, default_of_flows(load_settings()))
    body: dict[str, Any] = {
        "flow_name": flow.name,
        "entrypoint": entrypoint_of(flow),
        "description": options.get("description") or flow.options.description,
        "parameters": given,
        "parameter_schema": described,
        "tags": [*flow.options.tags, *(options.get("tags") or ())],
        "queue": options.get("queue") or "default",
        "retry_policy": {
            "retries": retry.retries,
            "delays": list(retry.delays),
            "backoff": retry.factor,
            "cap": retry.cap,
            "jitter": retry.jitter,
        },
        "timeout_s": flow.options.timeout,
        "crash_retries": flow.options.crash_retries,
        "state_hooks": state_hooks(flow),
        "alerts": flow.options.alerts.stored(),
        "export": flow.options.export,
        "concurrency": options.get("concurrency"),
        "concurrency_key": options.get("concurrency_key") or "",
        "overflow": options.get("overflow") or "enqueue",
        "flow_control": dict(options.get("flow_control") or {}),
        "paused": bool(options.get("paused")),
        "code_digest": code_digest(flow),
    }
    if "schedule" in options:
        body["schedule"] = options["schedule"]
    return body


def state_hooks(flow: Flow[..., Any]) -> list[str]:
    """The ends of runs for which the flow has hooks."""
    return sorted(event for event in ENDS.values() if flow.options.hooks.get(event))


def _refuse_unknown(flow: Flow[..., Any], given: Mapping[str, Any], described: Mapping[str, Any]) -> None:
    known = described["properties"]
    unknown = [name for name in given if name not in known]
    if unknown and described.get("additionalProperties", False) is False:
        raise ParameterError(
            f"flow {flow.name} has no parameter {', '.join(unknown)}",
            hint=f"It takes {', '.join(known) or 'none'}.",
        )
