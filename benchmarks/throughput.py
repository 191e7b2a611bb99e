"""Short runs a second, with their full history: flow of one no-op task, created as fast as the API takes them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from hub.testing.demo.site import Site, until
from hub.types import from_rfc3339

from benchmarks.bare_celery import BareCelery
from benchmarks.row import Row

FLOWS = str(Path(__file__).with_name("flows.py"))
POSTGRES = os.environ.get("HUB_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
REDIS = os.environ.get("HUB_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


def measure(quick: bool) -> list[Row]:
    """Embedded, then PostgreSQL and Redis where they are."""
    count = 100 if quick else 200
    with BareCelery() as bare:
        floor = bare.rate(count)
    return everywhere(lambda place: [_row(place, count, floor)])


def everywhere(rows: Callable[[str], list[Row]]) -> list[Row]:
    """The rows of each of `PLACES`; of PostgreSQL and Redis only where they are."""
    found = rows("SQLite")
    try:
        return found + rows("PostgreSQL")
    except OSError as error:
        print(f"PostgreSQL and Redis are left out: {error}", file=sys.stderr)
        return found


def _row(place: str, count: int, floor: float) -> Row:
    name, budget = ("embedded", 150) if place == "SQLite" else ("PostgreSQL and Redis", 200)
    with PLACES[place]() as settings:
        rate = _runs(count, settings)
    return Row(f"short runs, {name}", rate, "/s", budget, floor, "bare Celery", "more", note=f"{count} runs")


def _runs(count: int, settings: dict[str, str]) -> float:
    with Site(settings) as site, ThreadPoolExecutor(4) as threads:
        site.start()
        site.run("deploy", f"{FLOWS}:one_task", "--name", "one")
        site.run("deployments", "run", "one", "--wait")
        began = time.time()
        list(
            threads.map(
                lambda number: site.client.post("/deployments/one/runs", {"parameters": {"number": number}}),
                range(count),
            )
        )
        until("all runs to end", lambda: len(_ended(site, count + 1)) == count + 1, seconds=120)
        last = max(from_rfc3339(str(run["ended_at"])) for run in _ended(site, count + 1)) / 1e6
    return count / (last - began)


def _ended(site: Site, count: int) -> list[dict[str, object]]:
    time.sleep(0.2)  # asking is work too: not more often than needed
    found = list(site.client.items("/runs", {"state": "COMPLETED"}, limit=count))
    return [dict(run) for run in found]


@contextmanager
def embedded() -> Iterator[dict[str, str]]:
    """The settings of a hub with nothing beside it."""
    yield {}


@contextmanager
def at_scale() -> Iterator[dict[str, str]]:
    """The settings of a hub on a new database of PostgreSQL and on Redis. Raises OSError where they are not."""
    with database() as url:
        yield {"database_url": url, "broker_url": REDIS}


PLACES = {"SQLite": embedded, "PostgreSQL": at_scale}


@contextmanager
def database() -> Iterator[str]:
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise OSError(str(error)) from None
    name = f"hub_bench_{os.getpid()}"
    try:
        admin = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        raise OSError(str(error)) from None
    with admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield POSTGRES.rsplit("/", 1)[0] + f"/{name}"
        finally:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
