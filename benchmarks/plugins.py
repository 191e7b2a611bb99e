"""What it costs to list 100 installed plugins, none of which is imported for it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fresh import seconds
from benchmarks.row import Row, median

PLUGINS = 100
MANIFEST = 'name = "many-{0}"\nsummary = "One of many."\nhookspec = ">=1.0,<2"\n'


def measure(quick: bool) -> list[Row]:
    """Fresh processes; medians."""
    times = 5 if quick else 15
    hub = str(Path(sys.executable).with_name("hub"))
    python = median(seconds([sys.executable, "-c", "pass"], times)) * 1000
    name, command = f"hub plugins ls, {PLUGINS} installed", [hub, "plugins", "ls"]
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder) / "site")
        env = {**os.environ, "HUB_HOME": f"{folder}/home", "HUB_WEB_PORT": "0", "PYTHONPATH": f"{folder}/site"}
        alone = median(seconds(command, times, env=env)) * 1000
        with _running(hub, env, Path(folder) / "home"):
            asked = median(seconds(command, times, env=env)) * 1000
    return [
        Row(name, asked, "ms", 500, python, "interpreter", note="of a hub that runs"),
        Row(f"{name}, no hub", alone, "ms", 500, python, "interpreter"),
    ]


@contextmanager
def _running(hub: str, env: dict[str, str], home: Path) -> Iterator[None]:
    """A web process, which commands of this machine ask."""
    web = subprocess.Popen([hub, "web"], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not any(home.glob("api-*.sock")) and time.monotonic() < until:
            time.sleep(0.05)
        yield
    finally:
        web.terminate()
        web.wait(20)


def install(site: Path) -> None:
    """Packages with metadata, as an installer leaves them. One that is imported fails."""
    for number in range(PLUGINS):
        package, facts = site / f"many_{number}", site / f"many_{number}-1.0.dist-info"
        package.mkdir(parents=True)
        facts.mkdir()
        (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
        (package / "manifest.toml").write_text(MANIFEST.format(number))
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: many-{number}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[hub.plugins]\nmany-{number} = many_{number}.plugin\n")
