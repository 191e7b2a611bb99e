"""The row of a run that lives in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.engine.retry import NEVER
from hub.runtime import parameters
from hub.runtime.executor.taskrecord import retry_policy
from hub.sdk.flows import Flow
from hub.store import runs
from hub.types import Id


def run_row(flow: Flow[..., Any], values: Mapping[str, Any], run_id: Id, name: str, **more: Any) -> dict[str, Any]:
    """The row of a run that lives in this process."""
    options = flow.options
    policy = retry_policy(options.retry)
    return {
        "id": run_id, "name": name, "flow_name": flow.name, "home": "inline", "origin": "call",
        "tags": sorted(options.tags), "parameters": parameters.as_json(values) if values else {},
        "retry_policy": {} if policy is NEVER else runs.policy_data(policy), "timeout_s": options.timeout, **more,
    }  # fmt: skip
