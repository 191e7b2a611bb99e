"""Who may import whom, and what a flow file costs to import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from .repository import PACKAGES, ROOT, functions, python_files, short, tree

BRIDGES = {
    "hub/runtime/executor/passing.py": "a pause takes real time or none, in a thread and on the user's loop",
    "hub/sdk/futurestream.py": "waits for the next future of a stream, on the user's own loop",
    "hub/runtime/executor/steps.py": "each effect of a step, carried out by a thread or on the user's own loop",
    "hub/runtime/executor/statehooks.py": "awaits a hook that is a coroutine, on the user's own loop",
    "hub/runtime/executor/undoing.py": "awaits a hook of a transaction, on the user's own loop",
    "hub/runtime/executor/streams.py": "hands out the items of an async generator, on the user's own loop",
    "hub/runtime/executor/rung.py": "waits to be woken, on a thread or on the user's own loop",
    "hub/runtime/executor/calls.py": "settles the future of a coroutine that was submitted",
    "hub/runtime/executor/loops.py": "the one loop of a run on a worker, and waiting for a future on it",
    "hub/runtime/drawing/pen.py": "gives async tasks and flows that are only drawn what their callers await",
    "hub/runtime/attempt.py": "starts an async flow on a worker",
    "hub/runtime/inline.py": "starts an async flow on the caller's loop",
    "hub/runtime/executor/waiting.py": "sleeps outside any run, on the user's own loop",
}
"""Files of floors 0 to 5 that may hold `async def`, each with its reason."""

HEAVY_STANDARD = {
    "asyncio", "difflib", "email", "http", "logging", "multiprocessing", "platform", "sqlite3", "ssl", "unittest",
    "urllib.request", "uuid", "xml",
}  # fmt: skip


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_flow_and_task_loads_no_third_party_module() -> None:
    before, after = _modules("pass"), _modules("from hub import flow, task")
    loaded = {name for name in after - before if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name for name in loaded if name.split(".")[0] != "hub"} == set()
    floors = (
        "hub.sdk",
        "hub.errors",
        "hub.errorclasses",
        "hub.types",
        "hub.states",
        "hub.engine",
        "hub.version",
        "hub.hookspecs",
    )
    assert [name for name in sorted(loaded) if name != "hub" and not name.startswith(floors)] == []
    assert (after - before) & HEAVY_STANDARD == set()


def test_nothing_below_the_web_is_async_but_the_bridges() -> None:
    low = [path for path in python_files("hub") if not short(path).startswith(("hub/web", "hub/cli", "hub/client"))]
    low = [path for path in low if not short(path).startswith(("hub/testing", "hub/compat"))]
    found = {
        short(path) for path in low if any(type(node).__name__ == "AsyncFunctionDef" for _, node in functions(path))
    }
    assert found - set(BRIDGES) == set(), "async below the web: make it sync, or add it to BRIDGES with a reason"
    assert set(BRIDGES) - found == set(), "no longer needed in BRIDGES"


def test_nothing_is_written_twice_for_sync_and_async() -> None:
    twins = []
    for path in python_files():
        names = {name for name, _ in functions(path)}
        for name in names:
            owner, _, last = name.rpartition(".")
            for twin in (f"a{last}", f"{last}_async", f"async_{last}"):
                if f"{owner}.{twin}".lstrip(".") in names:
                    twins.append(f"{short(path)}: {name} and {twin}")
    assert twins == []


def test_generic_folder_names_never_become_packages() -> None:
    for folder in ("docker", "notifications", "hybrid", "plugins"):
        assert not (ROOT / folder / "__init__.py").exists(), folder


def test_every_package_is_typed() -> None:
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").is_file(), package


def test_imports_stand_at_the_top_except_where_a_comment_says_why() -> None:
    inside = []
    for path in python_files():
        if short(path).startswith("hub/cli/"):
            continue  # commands import what they start, so that --help stays quick
        lines = path.read_text(encoding="utf-8").splitlines()
        for name, node in functions(path):
            for child in node.body:
                if type(child).__name__ in ("Import", "ImportFrom") and "#" not in lines[child.lineno - 1]:
                    inside.append(f"{short(path)}:{child.lineno} in {name}")
    assert inside == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    empty = {"utils", "util", "common", "helpers", "manager", "misc"}
    assert [short(path) for path in python_files() if path.stem in empty] == []
    assert not (ROOT / "hub/flow.py").exists()
    assert not (ROOT / "hub/task.py").exists()


def test_every_module_says_what_it_is() -> None:
    import ast

    silent = [short(path) for path in python_files() if path.stat().st_size and not ast.get_docstring(tree(path))]
    assert silent == []


def _modules(code: str) -> set[str]:
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True, cwd=Path("/")
    )
    return set(json.loads(done.stdout))
