from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hub.errors import UnavailableError
from hub.store import Store
from hub.web.ui import live
from starlette.testclient import TestClient


def bell_threads() -> int:
    return sum(thread.name == "hub-ui-bell" for thread in threading.enumerate())


def test_pages_hear_what_they_listen_to(store: Store) -> None:
    async def scene() -> tuple[set[str], set[str]]:
        bell = live.Bell(store)
        with bell.subscribe(["runs"]) as runs, bell.subscribe(["logs"]) as logs:
            await asyncio.sleep(0.2)  # the thread binds its listener
            store.wake(["logs"])
            return await logs.changes(5), await runs.changes(0.3)

    logs, runs = asyncio.run(scene())
    assert logs == {"logs"}
    assert runs == set()


def test_many_changes_are_one_message(store: Store) -> None:
    async def scene() -> list[set[str]]:
        bell = live.Bell(store)
        with bell.subscribe(["runs", "logs"]) as page:
            await asyncio.sleep(0.2)
            for _ in range(50):
                store.wake(["runs", "logs"])
            return [await page.changes(5), await page.changes(0.5)]

    first, second = asyncio.run(scene())
    assert first == {"runs", "logs"}
    assert second == set()


def test_the_listening_thread_ends_with_the_last_page(store: Store) -> None:
    before = bell_threads()

    async def scene() -> int:
        bell = live.Bell(store)
        with bell.subscribe(["runs"]), bell.subscribe(["runs"]):
            return bell_threads()

    assert asyncio.run(scene()) == before + 1
    deadline = time.monotonic() + 10
    while bell_threads() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert bell_threads() == before


def test_there_are_only_so_many_live_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS", 1)

    async def scene() -> None:
        bell = live.Bell(store)
        with bell.subscribe(["runs"]), pytest.raises(UnavailableError), bell.subscribe(["runs"]):
            pass

    asyncio.run(scene())


def test_streams_end_when_the_server_stops(store: Store) -> None:
    async def scene() -> list[str]:
        bell = live.Bell(store)
        said = []
        async for message in live._messages(bell, ["runs"]):
            said.append(message)
            bell.close()
        return said

    said = asyncio.run(asyncio.wait_for(scene(), 10))
    assert said[0].startswith("retry:")
    assert len(said) <= 2


@pytest.mark.parametrize("topics", ["", "nonsense", "runs,nonsense"])
def test_unknown_topics_are_refused(browser: TestClient, topics: str) -> None:
    assert browser.get(f"/ui/stream?topics={topics}").status_code == 422


def test_every_page_names_topics_that_exist() -> None:
    import re
    from pathlib import Path

    pages = Path(live.__file__).parent / "pages"
    named = {
        topic
        for path in pages.glob("*.py")
        for found in re.findall(r'topics="([a-z,]+)"', path.read_text("utf-8"))
        for topic in found.split(",")
    }
    assert named <= set(live.WAKES)
    assert named
