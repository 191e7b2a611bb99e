"""A worker is killed in the middle of what it does with objects, again and again; its run comes to its end.

Each blow falls at a request: before the service gets it, or when it has been done and its answer is on its way.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from hub.secretfields import split
from tests.acceptance.conftest import Site, make_site
from tests.plugins.storage.servers import ACCOUNT, CONTAINER, Objects
from tests.proxies import Wire
from tests.resultstores import BUCKET, needed, other_bucket, s3_settings

from hub_plugins.storage.objects import Bucket, ObjectSettings

__all__ = ["make_site"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
FLOWS = """
import os
from pathlib import Path
from hub import flow
from hub_plugins.storage import tasks as storage


@flow(crash_retries=50)
def moves(folder: str, key: str) -> list[str]:
    Path(folder, "pid").write_text(str(os.getpid()))
    storage.put("one", "tea")
    storage.put("new", "tea", overwrite=False)
    storage.upload(str(Path(folder, "large")), "large")
    storage.copy("one", "copy")
    storage.download("large", str(Path(folder, "back")))
    storage.delete("one")
    return [one["key"] for one in storage.list_objects()]
"""
LARGE = bytes(range(256)) * 48_000  # three parts


@dataclass
class Place:
    """A bucket behind a wire; `server` is None where it is not ours."""

    kind: str
    settings: ObjectSettings
    wire: Wire
    root: str
    part: str
    deletes: str
    server: Objects | None = None


def connect(site: Site, place: Place) -> None:
    """By the site's own process, whose key seals the secret."""
    plain, secret = split(place.settings)
    words = [f"--{name.replace('_', '-')}={value}" for name, value in plain.items() if value not in ("", None)]
    lines = "".join(f"{name}={value}\n" for name, value in secret.items() if value)
    command = [sys.executable, "-m", "hub.cli", "connections", "create", place.kind, "storage", *words]
    done = subprocess.run(command, env=site.env, input=lines, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.fixture(params=["s3", "azure-blob", "gcs"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    needed("obstore")
    if request.param == "s3":
        real = urlsplit(request.getfixturevalue("s3_endpoint"))
        wire = Wire((real.hostname or "", real.port or 0))
        settings = s3_settings(f"http://127.0.0.1:{wire.port}")
        yield Place("s3", settings, wire, f"/{BUCKET}/", "partNumber=2&", f"POST /{BUCKET}?delete")
        wire.close()
        return
    with other_bucket(request.param) as (server, found):
        real = urlsplit(server.url)
        wire = Wire((real.hostname or "", real.port or 0))
        endpoint = str(found.endpoint).replace(str(real.port), str(wire.port))
        settings = found.model_copy(update={"endpoint": endpoint})
        if request.param == "azure-blob":
            root = f"/{ACCOUNT}/{CONTAINER}/"
            yield Place("azure-blob", settings, wire, root, "comp=block&", "comp=batch", server)
        else:
            root = f"/{CONTAINER.replace('-', '%2D')}/"  # as obstore writes it
            yield Place("gcs", settings, wire, root, "partNumber=2&", f"DELETE {root}one", server)
        wire.close()


def blows(place: Place) -> deque[tuple[str, bool]]:
    """A word of each request that is met, and whether the service has done it by then."""
    put = f"PUT {place.root}"
    return deque(
        [
            (f"{put}one", False), (f"{put}one", True), (f"{put}new", False), (f"{put}new", True), (place.part, False),
            (place.part, True), (f"{put}copy", False), (f"{put}copy", True), (f"GET {place.root}large", True),
            (place.deletes, False), (place.deletes, True),
        ]
    )  # fmt: skip


@pytest.mark.long("s3", "gcs")
def test_what_a_killed_worker_was_doing_is_there_once_and_whole(
    place: Place, make_site: Callable[..., Site]
) -> None:  # fmt: skip
    site = make_site()
    (site.home.parent / "flows.py").write_text(FLOWS)
    (site.folder / "large").write_bytes(LARGE)
    site.up()
    connect(site, place)
    site.deploy("moves", crash_retries=50)
    left, killed = blows(place), []

    def strike() -> None:
        pid = int((site.folder / "pid").read_text())
        killed.append(pid)
        os.kill(pid, signal.SIGKILL)
        arm()

    def arm() -> None:
        if left:
            word, answered = left.popleft()
            place.wire.arm(word.encode(), answered=answered, then=strike)

    arm()
    run_id = site.run("moves", "a")
    site.wait_ended([run_id], timeout=180)
    row = site.row(run_id)
    assert row["state_name"] == "Completed", f"{row['state_message']}\n{site.logs()}"
    assert (len(killed), len(set(killed)), list(left)) == (11, 11, []), "every blow fell, each upon another process"
    assert row["result"] == b'["copy","large","new"]'

    bucket = Bucket(place.settings)
    for key, wanted in {"copy": b"tea", "new": b"tea", "large": LARGE}.items():
        assert bytes(bucket.obstore.get(bucket.store, key).bytes()) == wanted
    assert (site.folder / "back").read_bytes() == LARGE
    assert sorted(path.name for path in site.folder.iterdir()) == ["back", "large", "pid"], "nothing half lies about"
    if place.server is not None:
        versions = Counter(place.server.kept)
        assert (versions["one"], versions["new"], versions["large"]) == (1, 1, 1), "no second version"
        assert versions["copy"] >= 1
