"""What calls of a task must have in common to share a result: `from hub.cache_policies import INPUTS, TASK_SOURCE`."""

from __future__ import annotations

from hub.sdk.caching import DEFAULT, FLOW_PARAMETERS, INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE, CachePolicy

__all__ = ["DEFAULT", "FLOW_PARAMETERS", "INPUTS", "NO_CACHE", "RUN_ID", "TASK_SOURCE", "CachePolicy"]
