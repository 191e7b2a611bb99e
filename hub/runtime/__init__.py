"""What carries the rules out: commands, the orchestrator, executors, dispatch, upkeep. Sync only.

`flow_run`, `task_run` and `deployment` tell code which run it is part of: `from hub.runtime import flow_run`.
"""

from __future__ import annotations

from hub.sdk.running import deployment, flow_run, task_run

__all__ = ["deployment", "flow_run", "task_run"]
