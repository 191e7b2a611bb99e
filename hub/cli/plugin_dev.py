"""`hub plugins dev`: a hub with a project's plugin in it, started again whenever a file of the project changes.

The project is lent to the processes of the hub by their path, as `hub plugins check` does it; pip has no part in it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from hub.cli import output
from hub.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from hub.testing.projects import Project

_LOOK_S = 0.3
_STOP_S = 60
_SKIPPED = {".git", "__pycache__", "node_modules"}
_FILES = 5_000
_CHECK = """
import sys
from hub.plugins import load_plugins
from hub.settings import load_settings
from hub.plugins import list_manifests
settings = load_settings()
row = next(row for row in list_manifests(settings) if row.name == sys.argv[1])
for process in (row.manifest.runs_in[:1] if row.manifest else ("cli",)):
    row = next(row for row in load_plugins(settings, process=process).table if row.name == sys.argv[1])
print(f"{row.name} {row.version} is {row.state}" + (f": {row.problem}" if row.problem else ""))
"""


def dev(
    path: Annotated[Path, Parameter(help="Folder of the project.")] = Path(),
    *,
    port: Annotated[int | None, Parameter(help="Port of the web process; 0: any free one.")] = None,
) -> int:
    """Start a hub with the plugin of a project in it, and again when a file of it changes. Ctrl-C stops it."""
    from hub.testing import projects

    project = projects.read(path)
    with tempfile.TemporaryDirectory(prefix="hub-dev-") as folder:
        return _watch(project, Path(folder), port)


def _watch(project: Project, folder: Path, port: int | None) -> int:
    words = [sys.executable, "-m", "hub.cli", "up", *(["--port", str(port)] if port is not None else [])]
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    watched = watched_of(project)
    known = seen(watched)
    try:
        while True:
            env, problem = _lent(project.folder, folder)
            output.say(problem or _state(project.plugin, env))
            running = subprocess.Popen(words, env=env)
            try:
                changed = _until_changed(watched, known, running)
            finally:
                _stop(running)
            if changed is None:
                return running.returncode or 0
            known = changed
            output.say(f"{project.folder} has changed: the hub starts again.")
    except KeyboardInterrupt:
        return 130


def _lent(project: Path, folder: Path) -> tuple[dict[str, str], str]:
    """The environment, read anew: pyproject.toml may have changed, and be wrong for the moment."""
    from hub.testing import projects

    try:
        return projects.lent_environment(projects.read(project), folder), ""
    except UsageError as error:
        known = os.pathsep.join([str(folder), str(project / "src"), str(project)])
        return {**os.environ, "PYTHONPATH": known}, f"{error.detail} {error.hint}"


def _state(name: str, env: Mapping[str, str]) -> str:
    """Whether the plugin loads, in a process of its own: the hub goes on without one that does not."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CHECK, name], env=env, capture_output=True, text=True, timeout=60
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"{name} did not load within 60 s"
    return (done.stdout.strip() or done.stderr.strip()).splitlines()[-1] if done.stdout or done.stderr else name


def _until_changed(
    watched: Sequence[Path], known: Mapping[str, int], running: subprocess.Popen[bytes]
) -> dict[str, int] | None:
    """Wait for a change; gives what there is then, None when the hub has ended by itself."""
    while running.poll() is None:
        now = seen(watched)
        if now != known:
            return _settled(watched, now)
        time.sleep(_LOOK_S)
    return None


def _settled(watched: Sequence[Path], now: dict[str, int]) -> dict[str, int]:
    """An editor or a checkout writes many files: wait until there is a moment without a change."""
    while True:
        time.sleep(_LOOK_S)
        later = seen(watched)
        if later == now:
            return now
        now = later


def watched_of(project: Project) -> list[Path]:
    """What a hub loads of a project: pyproject.toml and its packages. Tests and pages are nothing to a hub."""
    tops = {place.partition(":")[0].partition(".")[0] for place in project.points.values()}
    found = [project.sources / top for top in sorted(tops)]
    return [project.folder / "pyproject.toml", *(path if path.is_dir() else path.with_suffix(".py") for path in found)]


def seen(watched: Sequence[Path]) -> dict[str, int]:
    """Files, each with when it was changed. Raises UnavailableError for a folder without end."""
    found = {str(path): changed for base in watched for path, changed in _walk(base)}
    if len(found) > _FILES:
        raise UnavailableError(f"there are more than {_FILES} files to watch", hint="Give a plugin's project.")
    return found


def _walk(base: Path) -> Iterator[tuple[Path, int]]:
    """A file, or those of a folder."""
    paths = [base]
    for folder, folders, files in os.walk(base):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        paths += [Path(folder, name) for name in files]
    for path in paths:
        try:
            if path.is_file():
                yield path, path.stat().st_mtime_ns
        except OSError:
            continue  # gone between two looks


def _stop(running: subprocess.Popen[bytes]) -> None:
    if running.poll() is not None:
        return
    running.send_signal(signal.SIGTERM)
    try:
        running.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()


def _as_ctrl_c(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
