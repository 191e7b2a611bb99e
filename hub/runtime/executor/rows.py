"""The row of a run that lives in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.engine.retry import NEVER
from hub.runtime import loader, parameters
from hub.runtime.deploying import state_hooks
from hub.runtime.executor.retrying import RetryDefault
from hub.runtime.executor.taskrecord import retry_policy
from hub.sdk.flows import Flow
from hub.sdk.tagging import with_those_around
from hub.store import runs
from hub.types import Id


def run_row(
    flow: Flow[..., Any], values: Mapping[str, Any], run_id: Id, name: str, *, default: RetryDefault, **more: Any
) -> dict[str, Any]:
    """The row of a run that lives in this process; `default`: its retries where its author says nothing."""
    options = flow.options
    policy = retry_policy(options.retry, default)
    events, entrypoint = state_hooks(flow), None
    if events:
        # Its hooks are called elsewhere when this process cannot, if they can be found there.
        entrypoint = loader.same_elsewhere(flow)
        events = events if entrypoint else []
    return {
        "id": run_id, "name": name, "flow_name": flow.name, "home": "inline", "origin": "call",
        "tags": sorted(with_those_around(options.tags)), "parameters": parameters.as_json(values) if values else {},
        "retry_policy": {} if policy is NEVER else runs.policy_data(policy), "timeout_s": options.timeout,
        "state_hooks": events, "alerts": options.alerts.stored(), "export": options.export,
        "entrypoint": entrypoint, **more,
    }  # fmt: skip
