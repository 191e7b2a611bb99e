"""What `from hub import flow, task` costs."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("asyncio", "pydantic", "sqlalchemy", "sqlmodel", "celery", "kombu", "starlette", "apprise", "httpx2", "pluggy")
CODE = f"""
import sys
from hub import flow, task
@task(retries=2)
def double(n: int) -> int: return 2 * n
@flow
def whole(n: int = 1) -> int: return double(n)
import json
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def test_importing_flow_and_task_loads_no_heavy_module() -> None:
    """What it costs is measured by `scripts/bench imports`; what makes it cost is checked here, exactly."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == []
