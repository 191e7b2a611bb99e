"""What a command may import: module names, not milliseconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from hub.settings import load_settings
from hub.web import own

LISTINGS = (
    "runs ls", "deployments ls", "schedules ls", "queues ls", "limits ls", "workers ls", "webhooks ls",
    "webhooks receipts", "automations ls", "events ls", "plugins ls", "tokens ls", "secrets ls", "channels ls",
    "alerts ls", "sites ls",
)  # fmt: skip
HEAVY = {
    "sqlalchemy", "sqlmodel", "alembic", "psycopg", "celery", "kombu", "billiard", "apprise", "starlette", "uvicorn",
    "jinja2", "yaml", "obstore", "cel_expr_python", "asyncio",
}  # fmt: skip

SCRIPT = """
import contextlib, io, json, sys
from hub.cli import main
found = {}
for words in json.loads(sys.argv[1]):
    before = set(sys.modules)
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(words.split() + ["--json"])
    tops = {name.split(".")[0] for name in set(sys.modules) - before}
    found[words] = [code, sorted(tops & set(json.loads(sys.argv[2])))]
print(json.dumps(found))
"""


def test_a_listing_of_a_running_hub_loads_neither_database_nor_celery_nor_apprise() -> None:
    web = subprocess.Popen(
        [sys.executable, "-m", "hub.cli", "web", "--port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _until_it_answers(load_settings().api_socket, web)
        words = [json.dumps(LISTINGS), json.dumps(sorted(HEAVY))]
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        web.terminate()
        web.communicate(timeout=30)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {words: [0, []] for words in LISTINGS}


def test_without_a_running_hub_a_listing_loads_no_celery_no_apprise_and_no_dashboard() -> None:
    words = [json.dumps(["runs ls"]), json.dumps(["celery", "kombu", "billiard", "apprise", "jinja2", "uvicorn"])]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"runs ls": [0, []]}


def test_help_loads_no_command_and_nothing_heavy() -> None:
    script = "import json, sys\nfrom hub.cli import main\nmain(['--help'])\n"
    script += "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert {name.split(".")[0] for name in loaded} & (HEAVY | {"pydantic", "httpx2"}) == set()
    assert {name for name in loaded if name.startswith("hub.")} == {
        "hub.cli", "hub.cli.app", "hub.cli.contributed", "hub.cli.failures", "hub.cli.output", "hub.errors",
        "hub.version",
    }  # fmt: skip


def _until_it_answers(socket: Path, web: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not own.answers(socket):
        assert web.poll() is None, web.stderr and web.stderr.read()
        assert time.monotonic() < end, f"nothing listens at {socket}; {sorted(os.listdir(socket.parent))}"
        time.sleep(0.05)
