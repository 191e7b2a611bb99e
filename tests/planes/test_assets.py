"""Assets: what tasks make outside is noted with the end of the task, with its lineage; failures are noted, too."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import hub
import pytest
from hub import allow_failure, flow, materialize, task
from hub.cache_policies import INPUTS
from hub.engine.run import Lose
from hub.errors import NotFoundError, UsageError
from hub.runtime.orchestrator import handle
from hub.store import assets
from hub.store.assets import Tried
from hub.store.tables import Event
from hub.types import Scope, new_id, now_us
from tests.planes.test_attempt import child, dispatched, until
from tests.planes.test_remote import Workers
from tests.planes.test_remote import workers as workers

from .conftest import SCOPE, Plane

RAW, CLEAN, REPORT = "s3://lake/raw.csv", "s3://lake/clean.parquet", "postgres://warehouse/public/report"


def made(plane: Plane, key: str) -> list[dict[str, Any]]:
    """The materializations of an asset, in their order."""
    with plane.store.read() as tx:
        (row,) = assets.listing(tx, SCOPE, key=key).items
        return list(reversed(assets.materializations(tx, SCOPE, row["id"]).items))


def told(plane: Plane) -> list[dict[str, Any]]:
    with plane.store.read() as tx:
        rows = tx.conn.execute(Event.__table__.select().order_by(Event.__table__.c.id)).mappings()
        return [dict(row) for row in rows if row["type"].startswith("hub.asset.")]


def links(plane: Plane) -> set[tuple[str, str]]:
    with plane.store.read() as tx:
        rows = {row["id"]: row["key"] for row in assets.listing(tx, SCOPE, limit=200).items}
        return {(rows[a], rows[b]) for a, b in assets.links_among(tx, SCOPE, rows)}


def test_a_task_notes_what_it_made_from_what_and_who_made_it(plane: Plane) -> None:
    @materialize(CLEAN, asset_deps=[RAW], retries=1)
    def clean(rows: int) -> int:
        """Clean it."""
        hub.add_asset_metadata(CLEAN, {"rows": rows, "ratio": 0.5})
        hub.add_asset_metadata(CLEAN, {"note": "x"})
        return rows

    @task
    def count(rows: int) -> int:
        return rows

    @materialize(REPORT)
    def report(rows: int) -> int:
        return rows

    @flow
    def nightly() -> int:
        return report.submit(count.submit(clean.submit(7))).result()

    assert nightly() == 7
    (cleaned,), (reported,) = made(plane, CLEAN), made(plane, REPORT)
    run, steps = plane.only(), {row["task_name"]: row for row in plane.tasks()}
    assert (cleaned["state"], cleaned["upstream"]) == ("materialized", [RAW])
    assert cleaned["details"] == {"rows": 7, "ratio": 0.5, "note": "x"}
    assert (cleaned["run_id"], cleaned["task_run_id"]) == (run["id"], steps["clean"]["id"])
    assert (reported["upstream"], reported["flow_name"], reported["task_name"]) == ([CLEAN], "nightly", "report")
    assert links(plane) == {(RAW, CLEAN), (CLEAN, REPORT)}
    with plane.store.read() as tx:
        known = {row["key"]: row["state"] for row in assets.listing(tx, SCOPE).items}
    assert known == {RAW: None, CLEAN: "materialized", REPORT: "materialized"}
    first, second = told(plane)
    assert (first["type"], first["subject"], first["body"]["upstream"]) == ("hub.asset.materialized", CLEAN, [RAW])
    assert first["private"] == {"results": {"details": cleaned["details"]}}
    assert (second["body"]["key"], second["run_id"]) == (REPORT, run["id"])
    assert clean.options.description == "Clean it."


def test_coroutines_and_several_assets_of_one_task(plane: Plane) -> None:
    @materialize(CLEAN, REPORT)
    async def both() -> None:
        hub.add_asset_metadata(REPORT, {"n": 1})

    @flow
    async def whole() -> None:
        await both()

    asyncio.run(whole())
    assert made(plane, CLEAN)[0]["details"] == {}
    assert made(plane, REPORT)[0]["details"] == {"n": 1}


def test_a_failing_task_notes_that_it_did_not_make_it(plane: Plane) -> None:
    tries: list[int] = []

    @materialize(CLEAN, asset_deps=[RAW], retries=1)
    def clean() -> None:
        tries.append(1)
        raise ValueError("bad row 17")

    @materialize(REPORT)
    def report(rows: Any) -> None: ...

    @task
    def look(found: Any) -> str:
        return str(found)

    @flow
    def nightly() -> str:
        failed = clean.submit()
        report.submit(failed)
        return look.submit(allow_failure(failed)).result()

    assert nightly() == "bad row 17"
    assert len(tries) == 2
    (failed,) = made(plane, CLEAN)
    assert (failed["state"], failed["error"], failed["attempt"]) == ("failed", "ValueError: bad row 17", 2)
    (event,) = told(plane)
    assert (event["type"], event["private"]) == ("hub.asset.failed", {"errors": {"error": "ValueError: bad row 17"}})
    assert "error" not in event["body"]
    assert links(plane) == set()
    with plane.store.read() as tx:
        assert assets.listing(tx, SCOPE, key=REPORT).items == []


def test_a_retry_that_succeeds_notes_one_success(plane: Plane) -> None:
    tries: list[int] = []

    @materialize(CLEAN, retries=2)
    def clean() -> None:
        tries.append(1)
        hub.add_asset_metadata(CLEAN, {"try": len(tries)})
        if len(tries) < 3:
            raise ValueError

    @flow
    def whole() -> None:
        clean()

    whole()
    (row,) = made(plane, CLEAN)
    assert (row["state"], row["details"], row["attempt"]) == ("materialized", {"try": 3}, 3)


def test_what_came_from_the_cache_was_not_made_again_and_is_still_upstream(plane: Plane) -> None:
    @materialize(CLEAN, cache_policy=INPUTS)
    def clean(n: int) -> int:
        return n

    @materialize(REPORT)
    def report(n: int) -> int:
        return n

    @flow
    def whole() -> None:
        report.submit(clean.submit(1)).result()

    whole()
    whole()
    assert len(made(plane, CLEAN)) == 1
    assert [row["upstream"] for row in made(plane, REPORT)] == [[CLEAN], [CLEAN]]


@pytest.mark.long("sqlite")
def test_a_killed_run_notes_each_asset_once_and_keeps_its_lineage(plane: Plane) -> None:
    file = plane.file(f"""
HERE = Path(__file__).parent

@materialize("{RAW}")
def load(n):
    add_asset_metadata("{RAW}", {{"n": n}})
    return n

@materialize("{CLEAN}")
def clean(n):
    (HERE / "hanging").touch()
    while not (HERE / "go").exists(): time.sleep(0.01)
    return n

@flow
def whole():
    clean.submit(load.submit(3)).result()
""")
    run_id, key = dispatched(plane, f"{file}:whole")
    with child(key) as killed:
        until(lambda: (plane.folder / "hanging").exists())
        killed.send_signal(signal.SIGKILL)
        killed.wait(20)
    assert len(made(plane, RAW)) == 1
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "killed"))
    (plane.folder / "go").touch()
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Completed"
    assert len(made(plane, RAW)) == 1
    (row,) = made(plane, CLEAN)
    assert (row["upstream"], row["state"]) == ([RAW], "materialized")


def test_lineage_goes_along_to_workers(plane: Plane, workers: Workers) -> None:
    file = plane.file(f'''
@materialize("{RAW}")
def load(n):
    return n

@materialize("{CLEAN}")
def clean(n):
    add_asset_metadata("{CLEAN}", {{"n": n}})
    return n

@flow(task_runner=CeleryTaskRunner())
def whole():
    return clean.submit(load.submit(3)).result()
''')
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "Completed", row["error_trace"]
    (cleaned,) = made(plane, CLEAN)
    assert (cleaned["upstream"], cleaned["details"]) == ([RAW], {"n": 3})
    assert len(made(plane, RAW)) == 1


def test_keys_are_uris_without_passwords() -> None:
    for wrong in ("orders", "s3://", "S3://lake/x", "s3://lake/a b", "s3://lake/x\n", "://x", "s3://" + "x" * 500, 7):
        with pytest.raises(UsageError, match=r"key of an asset|needs the keys"):
            materialize(wrong)(print)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="asset_deps"):
            task(asset_deps=[wrong])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="holds a password"):
        task(asset_deps=["postgres://user:secret@warehouse/x"])
    with pytest.raises(UsageError, match="needs the keys"):
        materialize()
    with pytest.raises(UsageError, match="51 assets"):
        task(asset_deps=[f"s3://lake/{n}" for n in range(51)])


def test_metadata_is_for_the_task_s_own_assets_and_bounded(plane: Plane) -> None:
    @materialize(CLEAN)
    def clean() -> None:
        for key, metadata, says in (
            (REPORT, {}, "does not make the asset"),
            (CLEAN, [1], "is a dictionary"),
            (CLEAN, {"x": object()}, "no JSON"),
            (CLEAN, {"x": float("nan")}, "no JSON"),
            (CLEAN, {"x": "y" * 70_000}, "more than 65536"),
        ):
            with pytest.raises(UsageError, match=says):
                hub.add_asset_metadata(key, metadata)  # type: ignore[arg-type]

    @flow
    def whole() -> None:
        clean()
        with pytest.raises(UsageError, match="does not make the asset"):
            hub.add_asset_metadata(CLEAN, {})

    whole()
    with pytest.raises(UsageError, match="does not make the asset"):
        hub.add_asset_metadata(CLEAN, {})
    assert made(plane, CLEAN)[0]["details"] == {}


def test_without_a_journal_nothing_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")

    @materialize(CLEAN)
    def clean() -> int:
        hub.add_asset_metadata(CLEAN, {"n": 1})
        return 1

    @flow
    def whole() -> int:
        return clean()

    assert (whole(), clean()) == (1, 1)


def test_the_newest_try_of_each_asset_outlives_the_others(plane: Plane) -> None:
    for attempt in range(3):
        tried = Tried((CLEAN,), (), new_id(), new_id(), "f", "t", attempt)
        with plane.store.write() as tx:
            assets.record(tx, SCOPE, tried)
            assets.record(tx, SCOPE, tried)
    assert [row["attempt"] for row in made(plane, CLEAN)] == [0, 1, 2]
    with plane.store.write() as tx:
        assert assets.trim(tx, before=now_us() + 1, limit=10) == 2
        assert assets.trim(tx, before=now_us() + 1, limit=10) == 0
    assert [row["attempt"] for row in made(plane, CLEAN)] == [2]


def test_another_workspace_sees_no_assets(plane: Plane) -> None:
    elsewhere = Scope(workspace_id=new_id())
    with plane.store.write() as tx:
        assets.record(tx, SCOPE, Tried((CLEAN,), (RAW,), new_id(), new_id(), "f", "t", 1))
        (row,) = assets.listing(tx, SCOPE, key=CLEAN).items
        assert assets.listing(tx, elsewhere).items == []
        with pytest.raises(NotFoundError):
            assets.get(tx, elsewhere, row["id"])
        assert assets.neighbours(tx, elsewhere, row["id"], steps=2, limit=9) == {0: [row["id"]]}
        assert assets.neighbours(tx, SCOPE, row["id"], steps=2, limit=9)[-1] != []
