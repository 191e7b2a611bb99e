"""What plugins do outside is done once, whatever commit their process is killed at: a kill between the far side's
answer and the journal is among them. The kills are real (see hub.testing.crashing)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2  # noqa: F401 - here once, and not in each of the many processes that are killed
import pytest
from hub import flow
from hub.testing import harness, survives_crashes
from hub.testing.kit import Hub
from tests.plugins.github.server import TOKEN, github
from tests.plugins.openapi.shop import shop
from tests.plugins.slack.server import CHANNEL, slack
from tests.plugins.slack.server import TOKEN as SLACK_TOKEN

from hub_plugins.github import tasks as on_github
from hub_plugins.openapi import tasks as api
from hub_plugins.slack import tasks as on_slack
from hub_plugins.sql import tasks as sql

REPOSITORY = "octo/spoke"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with harness(outbound_networks=["127.0.0.0/8"]) as made:
        yield made


@flow
def release() -> None:
    number = on_github.create_issue(REPOSITORY, "It fails")["number"]
    on_github.comment(REPOSITORY, number, "seen")
    on_github.set_check(REPOSITORY, "ab" * 20, "etl", "success", summary="well")
    on_github.create_release(REPOSITORY, "v1")


def test_github_hears_of_everything_once(hub: Hub) -> None:
    with github() as server:
        hub.connect("github", "github", url=server.url, token=TOKEN)

        def emptied() -> None:
            for kept in (server.issues, server.comments, server.checks, server.releases):
                kept.clear()

        def seen(_run: Any) -> None:
            assert [len(one) for one in (server.issues, server.comments, server.checks, server.releases)] == [1] * 4

        assert survives_crashes(release, check=seen, prepare=emptied) >= 10


@flow
def book() -> int:
    sql.execute("INSERT INTO paid VALUES ('a')", connection="shop")
    return sql.load([{"run": "b"}, {"run": "c"}], "paid", connection="shop")


def test_a_database_is_changed_once(hub: Hub, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    hub.connect("sql", "shop", system="sqlite", database=path)

    def emptied() -> None:
        with closing(sqlite3.connect(path)) as database:
            database.executescript("DROP TABLE IF EXISTS hub_done; DROP TABLE IF EXISTS paid; CREATE TABLE paid (run)")

    def seen(_run: Any) -> None:
        with closing(sqlite3.connect(path)) as database:
            assert [row[0] for row in database.execute("SELECT run FROM paid ORDER BY run")] == ["a", "b", "c"]

    assert survives_crashes(book, check=seen, prepare=emptied) >= 6


@flow
def tell() -> None:
    first = on_slack.post_message(CHANNEL, "It fails")
    on_slack.post_message(CHANNEL, "seen", thread=first["ts"])
    on_slack.upload_file(CHANNEL, "log.txt", b"x")


@pytest.mark.long
def test_slack_is_told_once(hub: Hub) -> None:
    with slack() as server:
        hub.connect("slack", "slack", url=server.url, token=SLACK_TOKEN)

        def emptied() -> None:
            server.messages.clear()
            server.files.clear()

        def seen(_run: Any) -> None:
            assert (len(server.messages), len(server.files)) == (2, 1)

        assert survives_crashes(tell, check=seen, prepare=emptied) >= 8


@flow
def order() -> Any:
    return api.call("createOnce", body={"item": "tea"})


def test_an_api_with_idempotency_keys_is_called_once(hub: Hub) -> None:
    with shop() as server:
        hub.connect("openapi", "openapi", document=f"{server.url}/openapi.json")

        def emptied() -> None:
            server.orders.clear()
            server.keys.clear()

        def seen(_run: Any) -> None:
            assert len(server.orders) == 1

        assert survives_crashes(order, check=seen, prepare=emptied) >= 4


def test_the_check_would_find_a_task_that_does_it_twice(hub: Hub) -> None:
    with shop() as server:
        hub.connect("openapi", "openapi", document=f"{server.url}/openapi.json")

        @flow
        def careless() -> Any:
            return api.call("createOrder", body={"item": "tea"})

        def seen(_run: Any) -> None:
            assert len(server.orders) == 1

        with pytest.raises(AssertionError, match=r"killed (before|after) commit"):
            survives_crashes(careless, check=seen, prepare=server.orders.clear)
