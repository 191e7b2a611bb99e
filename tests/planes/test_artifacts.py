"""Artifacts: left by runs, once for each step, whatever happens to the run; bounded; without a server too."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

import hub
import pytest
from hub import flow, task
from hub.engine.run import Lose
from hub.errors import NotFoundError, UsageError
from hub.runtime import artifacts as reading
from hub.runtime import inline
from hub.runtime.collecting import Collector
from hub.runtime.commands import Command, apply
from hub.runtime.executor.artifacts import MAX_BYTES, checked
from hub.runtime.orchestrator import handle
from hub.runtime.retention import Retention
from hub.store import artifacts, events, kept
from hub.store.tables import Event
from hub.types import Scope, new_id, now_us
from tests.planes.test_attempt import child, dispatched, until

from .conftest import SCOPE, Plane


def made(plane: Plane, **wanted: Any) -> list[dict[str, Any]]:
    """Artifacts in the order in which they were made."""
    with plane.store.read() as tx:
        listed = artifacts.listing(tx, SCOPE, limit=200, **wanted).items
        return [artifacts.get(tx, SCOPE, row["id"]) for row in reversed(listed)]


def told(plane: Plane) -> list[tuple[str, dict[str, Any], dict[str, Any] | None]]:
    with plane.store.read() as tx:
        rows = tx.conn.execute(Event.__table__.select().order_by(Event.__table__.c.id)).mappings()
        return [(row["type"], row["body"], row["private"]) for row in rows if row["type"].startswith("hub.artifact.")]


def content(plane: Plane, row: dict[str, Any]) -> Any:
    return reading.content(plane.store, SCOPE, plane.settings.home / "results", row)


def test_a_run_leaves_every_kind_and_says_who_made_it(plane: Plane) -> None:
    @task
    def look() -> str:
        hub.create_table_artifact([{"a": 1, "b": 0.5}, {"a": None, "c": float("nan")}], key="rows", description="Two")
        hub.create_markdown_artifact("# Done\n\nall of it", key="text")
        hub.create_link_artifact("https://example.org/x?y=1", link_text="there")
        hub.create_image_artifact("https://example.org/x.png")
        return hub.create_progress_artifact(10)

    @flow
    def whole() -> str:
        bar = look()
        hub.update_progress_artifact(bar, 55.5, description="half")
        return bar

    bar = whole()
    rows = made(plane)
    run, step = plane.only(), plane.tasks()[0]
    assert [row["kind"] for row in rows] == ["table", "markdown", "link", "image", "progress"]
    assert {(row["run_id"], row["task_run_id"], row["flow_name"], row["task_name"]) for row in rows} == {
        (run["id"], step["id"], "whole", "look")
    }
    assert [content(plane, row) for row in rows] == [
        {"columns": ["a", "b", "c"], "rows": [[1, 0.5, None], [None, None, None]]},
        "# Done\n\nall of it",
        {"url": "https://example.org/x?y=1", "text": "there"},
        {"url": "https://example.org/x.png"},
        55.5,
    ]
    assert (rows[4]["id"], rows[4]["description"], rows[0]["key"]) == (bar, "half", "rows")
    assert [type_ for type_, _, _ in told(plane)] == ["hub.artifact.created"] * 5
    _, body, private = told(plane)[0]
    assert (body["key"], body["kind"], body["task_run_id"]) == ("rows", "table", step["id"])
    assert private == {"results": {"description": "Two"}}


def test_coroutines_may_await_and_need_not(plane: Plane) -> None:
    @task
    async def later(n: int) -> str:
        return await hub.create_markdown_artifact(f"n{n}", key="later")

    @flow
    async def crawl() -> list[str]:
        hub.create_markdown_artifact("first", key="first")
        return list(await asyncio.gather(*(later(n) for n in range(3))))

    ids = asyncio.run(crawl())
    assert {row["id"] for row in made(plane, key="later")} == set(ids)
    assert sorted(content(plane, row) for row in made(plane)) == ["first", "n0", "n1", "n2"]


def test_an_artifact_id_is_a_text_like_any_other(plane: Plane) -> None:
    @task
    def bar():  # type: ignore[no-untyped-def] # as people write it
        return hub.create_progress_artifact(0, key="bar")

    @task
    def fill(artifact_id: str) -> None:
        hub.update_progress_artifact(artifact_id, 100)

    @flow
    def whole() -> None:
        fill(bar.submit())
        fill(hub.create_progress_artifact(1))

    whole()
    kept_as = {row["task_name"]: row["result_format"] for row in plane.tasks()}
    assert kept_as["bar"] == "json+tags"
    assert [content(plane, row) for row in made(plane)] == [100, 100]
    assert [type_ for type_, _, _ in told(plane)].count("hub.artifact.updated") == 2


def test_equal_keys_are_versions_and_threads_do_not_mix_them_up(plane: Plane) -> None:
    @task
    def part(n: int) -> None:
        hub.create_table_artifact([[n]], key="part")

    @flow
    def whole() -> None:
        part.map(range(20))
        for n in range(3):
            hub.create_markdown_artifact(str(n), key="report")

    whole()
    whole()
    assert len(made(plane, key="part")) == 40
    assert [content(plane, row) for row in made(plane, key="report")] == ["0", "1", "2"] * 2
    newest = made(plane, latest=True)
    assert [row["key"] for row in newest].count("report") == 1
    assert len(newest) == 2
    with plane.store.read() as tx:
        first = artifacts.listing(tx, SCOPE, key="part", limit=30)
        rest = artifacts.listing(tx, SCOPE, key="part", limit=30, cursor=first.next_cursor)
    assert len({row["id"] for row in (*first.items, *rest.items)}) == 40
    assert rest.next_cursor is None


@pytest.mark.long("postgresql")
def test_a_step_that_is_replayed_after_a_kill_writes_nothing_twice(plane: Plane) -> None:
    file = plane.file("""
HERE = Path(__file__).parent

@task
def report(n):
    create_table_artifact([{"n": n}], key="report")
    return n

@task
def hangs():
    create_markdown_artifact("same", key="same")
    create_markdown_artifact("first try" if not (HERE / "go").exists() else "second try", key="other")
    bar = create_progress_artifact(0, key="bar")
    update_progress_artifact(bar, 40)
    while not (HERE / "go").exists():
        get_run_logger().info("waits")
        (HERE / "hanging").touch()
        time.sleep(0.05)
    update_progress_artifact(bar, 100)

@flow
def whole():
    create_markdown_artifact("body", key="body")
    report.map(range(3)).result()
    hangs()
    create_markdown_artifact("end", key="end")
""")
    run_id, key = dispatched(plane, f"{file}:whole")
    with child(key) as killed:
        until(lambda: [row["key"] for row in made(plane)].count("bar") == 1)
        killed.send_signal(signal.SIGKILL)
        killed.wait(20)
    before = made(plane)
    assert sorted(str(row["key"]) for row in before) == ["bar", "body", "other", "report", "report", "report", "same"]
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "killed"))
    (plane.folder / "go").touch()
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Completed"
    after = {row["id"]: row for row in made(plane)}
    assert len(after) == 8
    for row in before:
        again = after[row["id"]]
        if row["key"] in ("body", "report", "same"):
            assert again == row
        else:
            assert again["number"] == row["number"]
            assert again["digest"] != row["digest"]
    by_key = {row["key"]: content(plane, row) for row in after.values()}
    assert (by_key["other"], by_key["bar"], by_key["end"]) == ("second try", 100, "end")
    assert [type_ for type_, _, _ in told(plane)].count("hub.artifact.created") == 8


@pytest.mark.long("sqlite")
def test_tasks_in_processes_leave_artifacts_of_their_run(plane: Plane) -> None:
    file = plane.file("""
@task
def part(n):
    bar = create_progress_artifact(n, key="part")
    update_progress_artifact(bar, 50)
    create_markdown_artifact("x" * 100_000 * n, key="text")
    return bar

@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def whole():
    return part.map(range(2)).result()
""")
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "Completed", row["error_trace"]
    rows, steps = made(plane), {step["id"] for step in plane.tasks()}
    assert {(one["run_id"], one["flow_name"], one["task_name"]) for one in rows} == {(row["id"], "whole", "part")}
    assert {one["task_run_id"] for one in rows} == steps
    assert sorted(one["id"] for one in rows if one["key"] == "part") == sorted(json.loads(row["result"]))
    assert [content(plane, one) for one in rows if one["key"] == "part"] == [50, 50]
    assert sorted(len(content(plane, one)) for one in rows if one["key"] == "text") == [0, 100_000]


@pytest.mark.long("sqlite")
def test_an_attempt_that_was_given_up_leaves_nothing_more(plane: Plane) -> None:
    file = plane.file("""
HERE = Path(__file__).parent

@flow
def whole():
    create_markdown_artifact("first", key="first")
    (HERE / "hanging").touch()
    while not (HERE / "go").exists(): time.sleep(0.01)
    create_markdown_artifact("too late", key="late")
""")
    run_id, key = dispatched(plane, f"{file}:whole")
    with child(key) as stale:
        until(lambda: len(made(plane)) == 1)
        handle(plane.store, SCOPE, run_id, Lose(1, 1, "thought to be dead"))
        (plane.folder / "go").touch()
        stale.wait(60)
    assert [row["key"] for row in made(plane)] == ["first"]


def test_what_is_large_goes_to_the_result_store_and_away_with_its_artifact(plane: Plane) -> None:
    text = "x" * 200_000

    @flow
    def whole(text: str) -> None:
        hub.create_markdown_artifact(text, key="large")

    whole(text)
    (row,) = made(plane)
    found = kept.reference(row["content"], row["content_format"])
    assert found is not None
    assert (found.store, row["size"]) == ("local", 200_002)
    assert reading.inline(row) is None
    assert content(plane, row) == text
    collector = Collector(plane.store, plane.settings)
    with plane.store.read() as tx:
        assert kept.in_use(tx, found.key)
        assert kept.orphans(tx, [found.key]) == []
    apply(plane.store, Command("artifact.delete", SCOPE, row["id"]))
    with plane.store.read() as tx:
        assert kept.orphans(tx, [found.key]) == [found.key]
    assert collector.collect().results == 1
    with pytest.raises(NotFoundError, match="gone"):
        content(plane, row)


def test_a_large_one_that_is_replayed_otherwise_lets_the_old_bytes_go(plane: Plane) -> None:
    rows = []
    for text in ("a", "a", "b"):
        data = {"key": "k", "kind": "markdown", "description": None, "digest": text, "size": 1, "created_by": "local"}
        data |= dict.fromkeys(("run_id", "task_run_id", "flow_name", "task_name"))
        reference = json.dumps({"key": f"p/none/artifact-x-{len(rows)}", "bytes": 1, "sha256": text}).encode()
        rows.append({**data, "id": "same", "content": reference, "content_format": "local:json"})
    for row in rows:
        with plane.store.write() as tx:
            artifacts.put(tx, SCOPE, row)
    with plane.store.read() as tx:
        left = {row["key"] for row in kept.garbage(tx, limit=10)}
        now = artifacts.get(tx, SCOPE, "same")
    assert left == {"p/none/artifact-x-0", "p/none/artifact-x-1"}
    assert bytes(now["content"]) == rows[2]["content"]


def test_artifacts_outside_runs_belong_to_none(plane: Plane) -> None:
    bar = hub.create_progress_artifact(0, key="import")
    hub.update_progress_artifact(bar, 100)
    hub.create_markdown_artifact("y" * 100_000)
    first, second = made(plane)
    assert (first["id"], content(plane, first), first["run_id"], first["created_by"]) == (bar, 100, None, "local")
    assert len(content(plane, second)) == 100_000
    for wrong in (second["id"], new_id(), "no-id"):
        with pytest.raises(NotFoundError, match="no progress artifact"):
            hub.update_progress_artifact(wrong, 1)

    @flow
    def whole() -> None:
        hub.update_progress_artifact(second["id"], 1)

    with pytest.raises(NotFoundError, match="no progress artifact"):
        whole()


def test_without_a_journal_they_are_checked_and_not_kept(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")

    @task
    def look() -> str:
        return hub.create_progress_artifact(3)

    @flow
    def whole() -> None:
        hub.update_progress_artifact(look(), 7)
        hub.create_table_artifact([])
        with pytest.raises(UsageError, match="not a number from 0 to 100"):
            hub.create_progress_artifact(101)

    whole()
    look()
    hub.create_markdown_artifact("alone")
    monkeypatch.delenv("HUB_JOURNAL")
    inline.home()
    assert made(plane) == []


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("table", "text", "a table cannot be a str"),
        ("table", {"a": [1], "b": [1, 2]}, "differ in length"),
        ("table", [1, 2], "a row of a table cannot be a int"),
        ("table", [[0] * 501], "501 columns"),
        ("markdown", 7, "markdown is a text, not int"),
        ("markdown", "x" * MAX_BYTES, "more than 16777216"),
        ("link", {"url": "javascript:alert(1)", "text": None}, "is not an address"),
        ("link", {"url": "https://", "text": None}, "is not an address"),
        ("link", {"url": "https://[::1", "text": None}, "is not an address"),
        ("link", {"url": "https://a.b/ c", "text": None}, "is not an address"),
        ("link", {"url": "https://a.b", "text": 1}, "link_text"),
        ("image", {"url": "data:text/html;base64,PHNjcmlwdD4="}, "is not an address"),
        ("progress", float("nan"), "not a number from 0 to 100"),
        ("progress", True, "not a number from 0 to 100"),
    ],
)
def test_what_makes_no_artifact_is_refused_clearly(kind: str, given: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        checked(kind, given, None, None)


def test_keys_and_descriptions_have_a_form() -> None:
    for key in ("Report", "a_b", "-a", "a--b", "a" * 101, "", "a\n"):
        with pytest.raises(UsageError, match="not a key"):
            checked("markdown", "x", key, None)
    with pytest.raises(UsageError, match="description has 20001 characters"):
        checked("markdown", "x", None, "d" * 20_001)
    with pytest.raises(UsageError, match="description of an artifact is a text"):
        checked("markdown", "x", None, 5)  # type: ignore[arg-type]
    assert checked("table", {"a": [1, 2]}, "a-1", "nul\0").description == "nul\ufffd"
    assert json.loads(checked("table", {"a": [1, object]}, None, None).data)["rows"][1] == ["<class 'object'>"]


def test_old_ones_go_by_age_and_another_workspace_sees_none(plane: Plane) -> None:
    hub.create_markdown_artifact("a", key="a")
    (row,) = made(plane)
    elsewhere = Scope(workspace_id=new_id())
    with plane.store.read() as tx:
        assert artifacts.listing(tx, elsewhere).items == []
        assert artifacts.find(tx, elsewhere, row["id"]) is None
    with pytest.raises(NotFoundError):
        apply(plane.store, Command("artifact.delete", elsewhere, row["id"]))
    with plane.store.write() as tx:
        assert artifacts.trim(tx, before=row["updated_at"], limit=10) == 0
        assert artifacts.trim(tx, before=now_us() + 1, limit=10) == 1
    assert made(plane) == []
    hub.create_markdown_artifact("b", key="b")
    for keep, left in ((0, 1), (3600, 1), (0.000001, 0)):
        Retention(plane.store, plane.settings.model_copy(update={"retention_artifacts": keep})).step()
        assert len(made(plane)) == left
    with plane.store.read() as tx:
        assert events.after(tx, seq=0, limit=10) == []
