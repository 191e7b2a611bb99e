"""Results in stores: chosen by name for a flow or a task, read again by the next attempt, trouble made clear."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub import flow, runtime_context, task
from hub.errors import UnavailableError
from hub.runtime import inline
from hub.runtime.commands import Command, apply
from hub.runtime.executor import places
from hub.types import Scope
from tests.conftest import service
from tests.planes.conftest import Plane
from tests.resultstores import postgresql_settings, s3_settings

from hub_plugins.storage.settings import Postgresql

SCOPE = Scope()
CANARY = "s3-secret-canary"


def connect(plane: Plane, name: str, kind: str, fields: dict[str, Any]) -> None:
    args = {"name": name, "kind": kind, "fields": fields, "replace": True}
    apply(plane.store, Command("connection.set", SCOPE, name, args))


def fields_of(settings: Any) -> dict[str, Any]:
    plain = settings.model_dump(mode="json", exclude_none=True)
    if getattr(settings, "secret_access_key", None) is not None:
        plain["secret_access_key"] = settings.secret_access_key.get_secret_value()
    return dict(plain)


@pytest.fixture
def lake(plane: Plane, s3_endpoint: str) -> str:
    connect(plane, "lake", "s3", fields_of(s3_settings(s3_endpoint)))
    return "lake"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries of what may work later follow each other at once."""
    monkeypatch.setattr(places, "PAUSES", (0.0, 0.0))


def test_each_task_of_a_flow_may_keep_its_result_elsewhere(
    plane: Plane, lake: str, tmp_path: Path, results_table: Postgresql
) -> None:
    connect(plane, "warehouse", "postgresql", fields_of(results_table))
    (tmp_path / "disk").mkdir()
    connect(plane, "disk", "files", {"path": str(tmp_path / "disk")})
    calls: list[str] = []

    def noted(name: str) -> Callable[[str], str]:
        def call(text: str) -> str:
            calls.append(name)
            return text

        call.__qualname__ = call.__name__ = name
        return call

    stores = {"in_lake": "lake", "in_warehouse": "warehouse", "on_disk": "disk", "at_home": "local", "in_row": None}
    tasks = {
        name: task(result_store=store)(noted(name)) if store else task(noted(name)) for name, store in stores.items()
    }

    @flow(retries=1)
    def whole() -> str:
        found = "".join(step(name) for name, step in tasks.items())
        if runtime_context().attempt == 1:  # type: ignore[union-attr]
            raise OSError("once more")
        return found

    assert whole() == "".join(tasks)
    # The second attempt read every one of them.
    assert calls == list(tasks)
    formats = {row["name"]: row["result_format"] for row in plane.tasks()}
    wanted = {f"{name}-0".replace("_", "-"): f"{store}:json" if store else "json" for name, store in stores.items()}
    assert formats == wanted
    kept = json.loads(next(row["result"] for row in plane.tasks() if row["result_format"] == "lake:json"))
    assert (kept["bytes"], len(kept["sha256"])) == (len('"in_lake"'), 64)


def test_a_flow_and_a_setting_name_the_store_too(
    plane: Plane, lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    connect(plane, "disk", "files", {"path": str(tmp_path / "disk")})
    monkeypatch.setenv("HUB_RESULTS", "disk")

    @task
    def text(size: int) -> str:
        return "x" * size

    @flow(result_store="lake")
    def by_flow() -> str:
        return text(3)

    @flow
    def by_setting() -> int:
        return len(text(100_000) + text(3))

    assert by_flow() == "xxx"
    assert by_setting() == 100_003
    rows = {row["flow_name"]: row["result_format"] for row in plane.rows()}
    assert rows == {"by-flow": "lake:json", "by-setting": "json"}
    assert [row["result_format"] for row in plane.tasks()] == ["lake:json", "disk:json", "json"]


def test_a_worker_reads_what_a_killed_attempt_kept(plane: Plane, lake: str) -> None:
    file = plane.file(
        """
@task(result_store="lake")
def load(n):
    with Path(__file__).with_suffix(".calls").open("a") as file:
        file.write(f"{n} ")
    return "x" * n
@flow(retries=1)
def whole():
    sizes = [len(load(n)) for n in (1, 100_000)]
    if runtime_context().attempt == 1:
        raise OSError("cut off")
    return sizes
"""
    )
    run_id = plane.run(f"{file}:whole", retry_policy={"retries": 1, "delays": [0.0]})
    plane.attempt(run_id)
    plane.attempt(run_id)
    assert (plane.row(run_id)["state_name"], plane.row(run_id)["result"]) == ("Completed", b"[1,100000]")
    assert file.with_suffix(".calls").read_text() == "1 100000 "


@pytest.mark.parametrize("trouble", ["away", "refused", "unknown", "no-store"])
def test_a_result_that_cannot_be_kept_fails_its_task_clearly(plane: Plane, quick: None, trouble: str) -> None:
    if trouble == "away":
        connect(plane, "shop", "s3", fields_of(s3_settings("http://127.0.0.1:9", timeout=1)))
    elif trouble == "refused":
        settings = postgresql_settings(service("HUB_TEST_POSTGRES_URL"), database="no_such_db")
        connect(plane, "shop", "postgresql", {**fields_of(settings), "password": CANARY})
    elif trouble == "no-store":
        connect(plane, "shop", "http", {"url": "http://127.0.0.1:9/", "token": CANARY})
    told = {
        "away": "S3",
        "refused": "the database refuses",
        "unknown": "no connection 'shop'",
        "no-store": "cannot keep",
    }

    @task(result_store="shop")
    def load() -> str:
        return "rows"

    @task
    def after(text: str) -> str:
        return text

    @flow
    def whole() -> str:
        return after(load())

    with pytest.raises(Exception, match=told[trouble]) as caught:
        whole()
    task_row = plane.tasks()[0]
    assert (task_row["state_name"], task_row["result"]) == ("Failed", None)
    assert told[trouble] in task_row["error_message"]
    assert plane.only()["state_name"] == "Failed"
    everything = repr((plane.tasks(), plane.rows(), plane.logs(), str(caught.value), getattr(caught.value, "hint", "")))
    assert CANARY not in everything


def test_a_finished_task_is_not_done_again_because_its_store_is_away(plane: Plane, tmp_path: Path, quick: None) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    connect(plane, "disk", "files", {"path": str(folder)})
    calls: list[int] = []

    @task(result_store="disk")
    def load() -> str:
        calls.append(1)
        return "rows"

    @flow(retries=1)
    def whole() -> str:
        rows = load()
        if runtime_context().attempt == 1:  # type: ignore[union-attr]
            folder.rename(tmp_path / "not mounted")
            raise OSError("once more")
        return rows

    with pytest.raises(UnavailableError, match="result store disk: a result cannot be read"):
        whole()
    assert calls == [1]
    assert {row["task_name"]: row["state_name"] for row in plane.tasks()} == {"load": "Completed"}


def test_a_result_that_is_gone_is_made_again(plane: Plane) -> None:
    calls: list[int] = []

    @task(result_store="local")
    def load() -> str:
        calls.append(1)
        return "rows"

    @flow(retries=1)
    def whole() -> str:
        rows = load()
        if runtime_context().attempt == 1:  # type: ignore[union-attr]
            for file in (plane.settings.home / "results").rglob("*-1-*"):
                file.unlink()
            raise OSError("once more")
        return rows

    assert whole() == "rows"
    assert calls == [1, 1]
    assert any("not in local any more" in message for _, message in plane.logs())


def test_without_a_journal_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")
    home = tmp_path / "home"

    @flow
    def whole() -> int:
        return len(task(lambda: "x" * 100_000)())

    assert whole() == 100_000
    assert not (home / "results").exists()
    inline.forget()


def test_a_serializer_is_named_by_the_task_or_its_flow(plane: Plane, quick: None) -> None:
    calls: list[str] = []

    @task(result_serializer="pickle")
    def pickled() -> object:
        calls.append("pickled")
        return {1, 2}, complex(1, 2), range(3)

    @task
    def by_flow() -> str:
        calls.append("by_flow")
        return "x" * 100_000

    @flow(retries=1, result_serializer="compressed/json")
    def whole() -> list[object]:
        found = [pickled(), by_flow()[:1]]
        if runtime_context().attempt == 1:  # type: ignore[union-attr]
            raise OSError("once more")
        return found[1:]

    assert whole() == ["x"]
    assert calls == ["pickled", "by_flow"]
    assert [row["result_format"] for row in plane.tasks()] == ["pickle", "gzip/json"]
    assert plane.only()["result_format"] == "gzip/json"


def test_what_a_named_serializer_cannot_carry_fails_its_task(plane: Plane) -> None:
    @task(result_serializer="pickle")
    def odd() -> object:
        return lambda: 1

    @flow
    def whole() -> None:
        odd()

    with pytest.raises(Exception, match="cannot be written as pickle"):
        whole()
    assert [(row["state_name"], row["result"]) for row in plane.tasks()] == [("Failed", None)]
    assert "cannot be written as pickle" in plane.tasks()[0]["error_message"]
