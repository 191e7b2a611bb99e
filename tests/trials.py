"""Services at which the hub's own actions are tried three times, for rule C08 of the conformance kit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any

from hub.secretfields import split
from hub.testing.kit import Hub
from hub.testing.trials import Trial, Trials
from tests.plugins.github.server import TOKEN as GITHUB_TOKEN
from tests.plugins.github.server import github
from tests.plugins.slack.server import CHANNEL, slack
from tests.plugins.slack.server import TOKEN as SLACK_TOKEN
from tests.resultstores import other_bucket

Made = Callable[[Hub], AbstractContextManager[Trial]]


def on_github(kept: str, **arguments: Any) -> Made:
    """What GitHub keeps in such a list."""

    @contextmanager
    def made(hub: Hub) -> Iterator[Trial]:
        with github() as server:
            hub.connect("github", "github", url=server.url, token=GITHUB_TOKEN)
            yield Trial(lambda: len(getattr(server, kept)), {"repository": "octo/spoke", **arguments})

    return made


def in_slack(effects: Callable[[Any], int], **arguments: Any) -> Made:
    """What Slack keeps in such a list; there is one message already, to react to."""

    @contextmanager
    def made(hub: Hub) -> Iterator[Trial]:
        with slack() as server:
            server.messages.append({"channel": CHANNEL, "ts": "1795166000.000100", "text": "there"})
            hub.connect("slack", "slack", url=server.url, token=SLACK_TOKEN)
            yield Trial(lambda: effects(server), {"channel": CHANNEL, **arguments})

    return made


def in_a_database(**arguments: Any) -> Made:
    """Rows of a table of SQLite."""

    @contextmanager
    def made(hub: Hub) -> Iterator[Trial]:
        path = hub.home.parent / "shop.db"
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE paid (run)")
            hub.connect("sql", "sql", system="sqlite", database=path)
            yield Trial(lambda: int(database.execute("SELECT count(*) FROM paid").fetchone()[0]), arguments)

    return made


def in_a_bucket(arguments: Callable[[Hub], Mapping[str, Any]]) -> Made:
    """Versions of objects in Azure's language."""

    @contextmanager
    def made(hub: Hub) -> Iterator[Trial]:
        with other_bucket("azure-blob") as (server, settings):
            plain, secret = split(settings)
            hub.connect("azure-blob", "storage", **plain, **secret)
            yield Trial(lambda: len(server.kept), arguments(hub))

    return made


def a_file(hub: Hub) -> dict[str, str]:
    """A file to be sent."""
    path = hub.home.parent / "sent"
    path.write_bytes(b"tea")
    return {"path": str(path), "key": "sent"}


TRIALS: Trials = {
    "github.create_issue": on_github("issues", title="It fails"),
    "github.comment": on_github("comments", number=1, body="seen"),
    "github.set_check": on_github("checks", sha="ab" * 20, name="etl", conclusion="success"),
    "github.create_release": on_github("releases", tag="v1"),
    "slack.post_message": in_slack(lambda server: len(server.messages), text="It fails"),
    "slack.react": in_slack(lambda s: len(s.messages[0].get("reactions", ())), ts="1795166000.000100", emoji="eyes"),
    "slack.upload_file": in_slack(lambda server: len(server.files), name="log.txt", data=b"x"),
    "sql.execute": in_a_database(statement="INSERT INTO paid VALUES ('a')"),
    "sql.load": in_a_database(rows=[{"run": "b"}], table="paid"),
    "storage.put": in_a_bucket(lambda _hub: {"key": "one", "data": "tea"}),
    "storage.upload": in_a_bucket(a_file),
}
