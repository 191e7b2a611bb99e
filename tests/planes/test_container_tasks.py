"""Containers as tasks, on a real podman: what they give, how they end, and that nothing of them is left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hub import container, flow
from hub.errorclasses import class_of
from hub.errors import ParameterError, ProgramFailed, RunTimedOut, UsageError

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

CONF = """[containers]
default_ulimits=["nofile=10000:10000","nproc=5000:5000"]
netns="host"
[engine]
runtime="runc"
"""
PROGRAMS = ("sh", "cat", "id", "sleep", "pwd", "env")
IMAGE = f"localhost/hub-test-{os.getpid()}"


def _podman(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["podman", *words], input=stdin, capture_output=True, timeout=60, check=False)


def _root(folder: Path) -> None:
    """A tiny root file system of this machine's own programs and what they link to."""
    for name in PROGRAMS:
        program = shutil.which(name)
        assert program is not None
        linked = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=20, check=False).stdout
        (folder / "bin").mkdir(exist_ok=True)
        shutil.copy(program, folder / "bin" / name)
        for library in re.findall(r"(/\S+\.so\S*)", linked):
            (folder / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, folder / library[1:])
    (folder / "tmp").mkdir()


@pytest.fixture(scope="session")
def _podman_image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if shutil.which("podman") is None or not sys.platform.startswith("linux"):
        pytest.skip("podman is not installed (apt-get install podman runc)")
    folder = tmp_path_factory.mktemp("podman")
    conf = folder / "containers.conf"
    conf.write_text(CONF)
    before = os.environ.get("CONTAINERS_CONF")
    os.environ["CONTAINERS_CONF"] = str(conf)
    try:
        (folder / "root").mkdir()
        _root(folder / "root")
        packed = subprocess.run(["tar", "-C", folder / "root", "-c", "."], capture_output=True, timeout=60, check=True)
        made = _podman("import", "-", IMAGE, stdin=packed.stdout)
        tried = _podman("run", "--rm", IMAGE, "/bin/sh", "-c", "echo ok")
        if made.returncode or tried.stdout != b"ok\n":
            pytest.skip(f"podman cannot run containers here: {(made.stderr + tried.stderr)[-300:]!r}")
        yield conf
        _podman("rmi", "-f", IMAGE)
    finally:
        os.environ.pop("CONTAINERS_CONF") if before is None else os.environ.update(CONTAINERS_CONF=before)


@pytest.fixture
def podman(_podman_image: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A podman with the tests' image. No container is left behind."""
    monkeypatch.setenv("CONTAINERS_CONF", str(_podman_image))
    yield
    assert _left() == []


def _left() -> list[str]:
    return _podman("ps", "-aq", "--filter", f"ancestor={IMAGE}").stdout.decode().split()


def _until(what: str, true: Callable[[], bool]) -> None:
    end = time.monotonic() + 40
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_what_makes_no_sense_is_refused_where_it_is_written() -> None:
    for make, says in (
        (lambda: container("--privileged"), "no image's name"),
        (lambda: container("a b"), "no image's name"),
        (lambda: container("x", " "), "command is empty"),
        (lambda: container("x", memory="lots"), "is not a size"),
        (lambda: container("x", cpus=0), "not a number above 0"),
        (lambda: container("x", mounts={"/a": "b"}), "is no place"),
        (lambda: container("x", network="--privileged"), "is not a name"),
        (lambda: container("x", pull="often"), "pull='often'"),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError, match=says):
            make()  # type: ignore[no-untyped-call]
    task = container("{image}", "echo {a}", mounts={"/data/{b}": "/in:ro"})
    assert list(task._wrapped.parameters) == ["image", "a", "b"]
    for image in ("--privileged", "", "a b"):
        with pytest.raises(ParameterError, match="an image's name that is none"):
            task.fn(image, 1, 2)


def test_a_missing_runtime_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramFailed, match="there is no podman and no docker on this machine") as caught:
        container("x", "y").fn()
    assert class_of(caught.value).value == "infrastructure"


@pytest.mark.usefixtures("podman")
def test_parameters_variables_folders_and_outputs(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("given")
    task = container(
        IMAGE, "printf '%s|' {x} \"$DAY\" \"$TEXT\" \"$PATH\"; cat /in/data; pwd; cat; printf '[1]' > $HUB_OUTPUT",
        env={"DAY": "d {day}", "TEXT": "two\nlines", "PATH": "/bin"}, mounts={"{folder}": "/in:ro"}, workdir="/tmp",
        stdin="{x}", output="json_file", network="none", pull="never", runtime="podman",
    )  # fmt: skip
    assert task.fn(x="a'b $(touch /in/mark)", day=3, folder=tmp_path) == [1]
    told = container(
        IMAGE, "printf '%s|' {x} \"{x}\" '{x}' \"$DAY\" \"$TEXT\"; cat /in/data; pwd; cat",
        env={"DAY": "{d}", "TEXT": "two\nlines"}, mounts={"{folder}": "/in"}, workdir="/tmp", stdin="{x}",
    )  # fmt: skip
    odd = 'a\'b "c" $(touch /in/mark)'
    assert told.fn(x=odd, d=3, folder=tmp_path) == f"{odd}|{odd}|{odd}|3|two\nlines|given/tmp\n{odd}"
    lines = container(IMAGE, ["/bin/sh", "-c", "printf '%s\\n' \"$@\"", "x", "{items}"], output="lines")
    assert lines.fn(items=["a b", "c"]) == ["a b", "c"]
    assert not (tmp_path / "mark").exists()


@pytest.mark.usefixtures("podman")
def test_it_is_logged_labelled_and_its_failures_have_classes(plane: Plane) -> None:
    talk = container(IMAGE, "echo out $TOKEN; echo err >&2; exit 75", env={"TOKEN": lambda: "hunter22"},
                     exit_classes={75: "rate_limited"}, name="talk")  # fmt: skip

    @flow
    def whole() -> None:
        talk()

    with pytest.raises(ProgramFailed, match="exit code 75\nerr"):
        whole()
    assert {"out ***", "err"} <= {message for _, message in plane.logs()}
    assert [row["error_class"] for row in plane.tasks()] == ["rate_limited"]
    for task, says, kind in (
        (container(IMAGE, "kill -9 $$; sleep 1; sh -c 'kill -9 $$'"), "killed by SIGKILL", "infrastructure"),
        (container(IMAGE, "nonsense"), "command not found", "user_error"),
        (container(IMAGE + "-missing", pull="never"), "podman could not run it\n", "infrastructure"),
    ):
        with pytest.raises(ProgramFailed, match=says) as caught:
            task.fn()
        assert class_of(caught.value).value == kind


@pytest.mark.usefixtures("podman")
def test_over_its_timeout_the_container_is_ended_and_removed(plane: Plane) -> None:
    hang = container(IMAGE, "sleep 300", timeout_seconds=2, grace_seconds=0.3, name="hang")

    @flow
    def whole() -> None:
        hang()

    with pytest.raises(RunTimedOut):
        whole()
    _until("the container is still there", lambda: not _left())


@pytest.mark.usefixtures("podman")
@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.long("False")
def test_a_killed_worker_s_container_goes_and_the_next_attempt_removes_what_stayed(plane: Plane, guarded: bool) -> None:
    mark = plane.folder / "mark"
    file = plane.file(f"""
hang = container("{IMAGE}", "test -e /in/done || sleep 300; echo again", mounts={{"{plane.folder}": "/in"}},
                 grace_seconds=0.3, name="hang", retries=1)
@flow
def f():
    Path("{mark}").write_text(str(os.getpid()))
    return hang()
""")
    run_id = plane.run(f"{file}:f")
    if plane.settings.database_url:
        pytest.skip("the kill is the same on every store")
    command = [sys.executable, "-c", _ATTEMPT, run_id]
    temporary = plane.folder / "tmp"
    temporary.mkdir()
    environ = {**os.environ, "TMPDIR": str(temporary)}
    worker = subprocess.Popen(command, cwd=plane.folder, env=environ)
    try:
        _until("no container began", lambda: bool(_left()))
        if not guarded:
            for guard in _guards(worker.pid):
                os.kill(guard, signal.SIGKILL)
        worker.kill()
        worker.wait(20)
        if guarded:
            _until("the container is still there", lambda: not _left())
            _until("its folder is still there", lambda: not list(temporary.glob("hub-container-*")))
            return
        assert _left(), "nobody was there to remove it"
        assert list(temporary.glob("hub-container-*")), "nor its folder"
        (plane.folder / "done").touch()
        again = subprocess.run([*command, "again"], cwd=plane.folder, env=environ, timeout=60, check=False)
        assert again.returncode == 0
        assert plane.row(run_id)["result"] == b'"again"', plane.row(run_id)
        assert any("of an earlier attempt" in message for _, message in plane.logs())
        assert not list(temporary.glob("hub-container-*")), "the folders of both attempts are removed"
    finally:
        worker.kill()
        worker.wait(20)


_ATTEMPT = """
import sys
from hub.engine.run import Dispatch, Lose
from hub.runtime import inline
from hub.runtime.attempt import execute_attempt
from hub.runtime.orchestrator import handle
from hub.settings import load_settings
from hub.store import attempts
from hub.types import Scope, new_id
store = inline.home().store
if sys.argv[2:]:
    handle(store, Scope(), sys.argv[1], Lose(1, 1, "killed"))
number = handle(store, Scope(), sys.argv[1], Dispatch(new_id())).attempt
execute_attempt(store, load_settings(), attempts.attempt_id(sys.argv[1], number), 1)
"""


def _guards(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                line = (folder / "cmdline").read_bytes().split(b"\0")
                ours = int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent
            except OSError:
                continue
            if ours and b"hub-guard" in line:
                found.append(int(folder.name))
    return found
