"""New objects become events, each version once, whatever is killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hub.consumers import Consuming
from hub.errors import PermanentError
from hub.runtime.commands import Command, apply
from hub.store import Store
from hub.types import SECOND, Scope, now_us
from tests.plugins.brokers.test_killed import happened, kept
from tests.processes import shared_store, until, upkeep

from hub_plugins.storage import watching
from hub_plugins.storage.watching import ObjectConsumer

from .conftest import Place

SCOPE = Scope()


@pytest.fixture(autouse=True)
def all_plugins(every_plugin: None) -> None:
    """Kinds and presets of all plugins are needed here."""


def opened(place: Place, known: set[str] | None = None, since: int = 0, **options: str) -> ObjectConsumer:
    given = {"prefix": place.folder, "every": "1", "start": "oldest", **options}

    def asked(ids: Sequence[str]) -> frozenset[str]:
        return frozenset(ids) & frozenset(known or ())

    return ObjectConsumer(place.settings, Consuming("hub-1", given, 256, asked, since))


def taken(consumer: ObjectConsumer, *, ack: bool = True) -> list[tuple[str, str]]:
    consumer._next_look = 0.0
    messages = consumer.receive(100, 0.1)
    if ack:
        consumer.ack(messages)
    return [(dict(one.headers)["object-id"], str(one.tag[0])) for one in messages]


def test_what_is_new_or_changed_is_told_and_what_was_kept_is_not(place: Place) -> None:
    place.put("a", b"1")
    place.put("b", b"1")
    consumer = opened(place)
    first = taken(consumer, ack=False)
    assert sorted(key for _, key in first) == [f"{place.folder}a", f"{place.folder}b"]
    known = {ident for ident, _ in first}
    again = opened(place)
    assert {ident for ident, _ in taken(again)} == known, "what nobody has kept comes again, with the same id"
    assert taken(again) == []
    place.put("b", b"22")
    ((ident, key),) = taken(again)
    assert (key, ident in known) == (f"{place.folder}b", False)
    assert taken(opened(place, known | {ident})) == []


def test_only_what_comes_after_the_source_was_made(place: Place) -> None:
    place.put("old", b"1")
    assert taken(opened(place, since=now_us() + 3_600 * SECOND, start="newest")) == []
    assert len(taken(opened(place, since=now_us() - 3_600 * SECOND, start="newest"))) == 1


def test_more_than_can_be_watched_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST", 2)
    for name in "abc":
        place.put(name, b"1")
    with pytest.raises(PermanentError, match="watch a narrower one"):
        taken(opened(place))


def source(store: Store, place: Place) -> None:
    fields: dict[str, Any] = {name: str(value) for name, value in place.fields.items()}
    apply(store, Command("connection.set", SCOPE, "lake", {"name": "lake", "kind": place.kind, "fields": fields}))
    options = {"prefix": place.folder, "every": "1"}
    args = {"name": "incoming", "preset": place.kind, "connection": "lake", "options": options}
    apply(store, Command("source.create", SCOPE, "", args))


@pytest.mark.slow
@pytest.mark.long("azure-blob", "gcs")
def test_a_kill_loses_no_object_and_doubles_none(
    place: Place, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    store = shared_store("sqlite", request, monkeypatch, tmp_path)
    source(store, place)
    keys = [f"{place.folder}{number:03}" for number in range(300)]
    for key in keys[:200]:
        place.put(key.removeprefix(place.folder), b"1")
    with upkeep():
        until(lambda: kept(store) >= 50, 120)  # killed somewhere among them
    with upkeep():
        until(lambda: kept(store) >= 200, 120)
        for key in keys[200:]:
            place.put(key.removeprefix(place.folder), b"1")
        until(lambda: kept(store) > 200, 120)
    with upkeep():
        until(lambda: len(happened(store, f"{place.kind}.object.created")) >= 300, 120)
        # One look more, which finds nothing new.
        place.put("last", b"1")
        until(lambda: kept(store) > 300, 120)
    ids = happened(store, f"{place.kind}.object.created")
    assert len(ids) == len(set(ids))
    assert kept(store) == 301
    store.close()
