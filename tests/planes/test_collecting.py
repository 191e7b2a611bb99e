"""Results that nobody refers to go, and no others: by retention, by the cache, as orphans."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub import flow, runtime_context, task
from hub.cache_policies import INPUTS
from hub.runtime.collecting import YOUNG, Collector
from hub.runtime.commands import Command, apply
from hub.store import kept, runs, trimming
from hub.store.base import Store
from hub.types import SECOND, Scope, new_id, now_us
from sqlalchemy import update
from tests.planes.conftest import Plane
from tests.resultstores import s3_settings

from hub_plugins.storage.postgresql import PostgresqlResults
from hub_plugins.storage.results import ObjectResults
from hub_plugins.storage.settings import Postgresql

SCOPE = Scope()


def files(plane: Plane) -> list[Path]:
    return sorted(path for path in (plane.settings.home / "results").rglob("*") if path.is_file())


def trim(plane: Plane, *run_ids: str) -> None:
    with plane.store.write() as tx:
        old = update(runs.TABLE).where(runs.TABLE.c.id.in_(run_ids)).values(ended_at=1)
        tx.conn.execute(old)
    for _ in range(20):
        with plane.store.write() as tx:
            if not trimming.runs(tx, before=2, limit=100):
                return
    raise AssertionError("trimming does not end")


def collect(plane: Plane) -> int:
    return Collector(plane.store, plane.settings).collect().results


@task(result_store="local")
def load(n: int) -> str:
    return "x" * n


@flow(result_store="local")
def whole(n: int = 3) -> str:
    return load(n)


def test_results_go_with_the_run_that_made_them(plane: Plane) -> None:
    whole()
    whole()
    first, second = (row["id"] for row in plane.rows())
    assert len(files(plane)) == 4
    assert collect(plane) == 0
    trim(plane, first)
    dry = Collector(plane.store, plane.settings).collect(dry_run=True)
    assert (dry.results, dry.bytes > 0, len(files(plane))) == (2, True, 4)
    assert collect(plane) == 2
    assert {path.parent.name for path in files(plane)} == {second}
    assert collect(plane) == 0


def test_a_result_that_the_cache_or_another_run_refers_to_stays(plane: Plane) -> None:
    cached = load.with_options(cache_policy=INPUTS)
    one = flow(lambda: cached(3))
    two = flow(lambda: len(cached(3)))
    one(), two()
    first, second = (row["id"] for row in plane.rows())
    trim(plane, first)
    assert (collect(plane), len(files(plane))) == (0, 1)
    apply(plane.store, Command("cache.clear", SCOPE))
    # The second run was answered by the cache: its task refers to the first one's result.
    assert (collect(plane), len(files(plane))) == (0, 1)
    trim(plane, second)
    assert (collect(plane), len(files(plane))) == (1, 0)


def test_a_cleared_entry_leaves_the_result_of_a_run_that_is_still_there(plane: Plane) -> None:
    cached = load.with_options(cache_policy=INPUTS)
    flow(lambda: cached(3))()
    apply(plane.store, Command("cache.clear", SCOPE))
    assert (collect(plane), len(files(plane))) == (0, 1)
    trim(plane, plane.only()["id"])
    assert (collect(plane), len(files(plane))) == (1, 0)


def orphan(plane: Plane, run_id: str, *, age: int = 2 * YOUNG) -> Path:
    import os

    known = files(plane)[0]
    path = known.parent.parent / run_id / f"{new_id()}-1-abc"
    path.parent.mkdir(exist_ok=True)
    path.write_text("left by an attempt that was killed before its row said so")
    os.utime(path, ns=((now_us() - age) * 1000,) * 2)
    for file in files(plane):
        if file != path:
            os.utime(file, ns=((now_us() - 2 * YOUNG) * 1000,) * 2)
    return path


def test_orphans_are_found_and_what_is_named_or_young_or_running_is_not(plane: Plane) -> None:
    whole()
    ended = plane.only()["id"]
    lost = [orphan(plane, ended), orphan(plane, new_id())]
    running = plane.run("x.py:f")
    alive = orphan(plane, running)
    young = orphan(plane, ended, age=SECOND)
    foreign = files(plane)[0].parent.parent.parent / new_id() / ended / "somebody-elses"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("another hub's")
    collector = Collector(plane.store, plane.settings)
    dry = collector.orphans(SCOPE, dry_run=True)
    assert (dry.orphans, all(path.exists() for path in lost)) == (2, True)
    while collector.step():
        continue
    assert [path.exists() for path in lost] == [False, False]
    assert young.exists()
    assert alive.exists()
    assert foreign.exists()
    assert len(files(plane)) == 5
    assert collector.orphans(SCOPE).orphans == 0


def test_a_store_that_is_away_keeps_its_garbage_for_later(plane: Plane, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    fields = {"name": "disk", "kind": "files", "fields": {"path": str(disk)}}
    apply(plane.store, Command("connection.set", SCOPE, args=fields))
    flow(lambda: [load.with_options(result_store="disk")(3), load(3)])()
    trim(plane, plane.only()["id"])
    disk.rename(tmp_path / "away")
    done = Collector(plane.store, plane.settings).collect()
    assert (done.results, list(done.problems), len(files(plane))) == (1, ["disk"], 0)
    with plane.store.write() as tx:
        row = tx.conn.execute(kept.GARBAGE.select()).mappings().one()
        assert (row["tries"], row["due_at"] > tx.now + 30 * SECOND) == (1, True)
        tx.conn.execute(update(kept.GARBAGE).values(due_at=0))
    (tmp_path / "away").rename(disk)
    assert collect(plane) == 1
    assert [path for path in disk.rglob("*") if path.is_file()] == []


def test_a_restart_keeps_what_it_took_from_the_run_it_repeats(plane: Plane) -> None:
    file = plane.file(
        """
@task(result_store="local")
def load():
    return "rows"
@flow
def whole(fail=True):
    rows = load()
    if not Path(__file__).with_suffix(".go").exists():
        raise OSError("once more")
    return rows
"""
    )
    first = plane.execute(f"{file}:whole")
    file.with_suffix(".go").touch()
    again = plane.execute(f"{file}:whole", restart_of=first["id"])
    assert (first["state_name"], again["state_name"]) == ("Failed", "Completed")
    trim(plane, first["id"])
    assert (collect(plane), len(files(plane))) == (0, 1)
    trim(plane, again["id"])
    assert (collect(plane), len(files(plane))) == (1, 0)


def test_keys_of_others_are_in_nobodys_use(store: Store) -> None:
    with store.read() as tx:
        for key in ("", "a", "a/b", "a/b/c", "a/b/run-1-x"):
            assert not kept.in_use(tx, key)
        assert kept.reference(b"{", "lake:json") is None
        assert kept.reference(b"1", "json") is None


def test_the_lineage_of_a_result_is_known(plane: Plane) -> None:
    @task(result_store="local")
    def join(parts: list[str]) -> str:
        assert runtime_context() is not None
        return "".join(parts)

    @flow
    def build() -> str:
        return join([load.submit(1), load.submit(2)]).upper()  # type: ignore[list-item]

    build()
    run_id = plane.only()["id"]
    with plane.store.read() as tx:
        row = kept.of_run(tx, SCOPE, run_id, "join")
        assert row is not None
        assert [found["name"] for found in kept.names(tx, SCOPE, row["upstream"])] == ["load-0", "load-1"]
        found = kept.reference(row["result"], row["result_format"])
    assert found is not None
    assert (found.store, found.size, found.serializer, len(found.sha256)) == ("local", 5, "json", 64)
    assert kept.parsed(found.key) == (run_id, row["id"])


@pytest.mark.long("sqlite")
def test_results_in_a_bucket_and_in_a_table_go_as_well(
    plane: Plane, s3_endpoint: str, results_table: Postgresql
) -> None:
    bucket, table = s3_settings(s3_endpoint), results_table
    kinds = {"lake": ("s3", bucket), "warehouse": ("postgresql", table)}
    for name, (kind, settings) in kinds.items():
        fields = settings.model_dump(mode="json", exclude_none=True)
        if kind == "s3":
            fields["secret_access_key"] = "s3-secret-canary"
        args = {"name": name, "kind": kind, "fields": fields, "replace": True}
        apply(plane.store, Command("connection.set", SCOPE, args=args))
    flow(lambda: [load.with_options(result_store=name)(3) for name in kinds] and 0)()
    stores = [ObjectResults(bucket), PostgresqlResults(table)]
    keys = []
    for row in plane.tasks():
        found = kept.reference(row["result"], row["result_format"])
        assert found is not None
        keys.append(found.key)
    prefix = keys[0].split("/")[0] + "/"
    assert [[item.key for item in store.list(prefix)] for store in stores] == [keys[:1], keys[1:]]
    trim(plane, plane.only()["id"])
    assert collect(plane) == 2
    assert [list(store.list(prefix)) for store in stores] == [[], []]
    stores[1].close()  # type: ignore[attr-defined]
