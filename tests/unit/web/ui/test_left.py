"""The pages of what runs leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from hub.store import Store, artifacts
from hub.store.tables import Artifact
from hub.types import Scope, new_id
from hub.web.ui import live
from starlette.testclient import TestClient
from tests.unit.web.ui.conftest import send
from tests.unit.web.ui.left import artifact
from tests.unit.web.ui.seed import Seed


def test_a_run_shows_what_it_left(browser: TestClient, seed: Seed) -> None:
    html = browser.get(f"/ui/runs/{seed.ids['failed']}").text
    assert html.count('class="artifact"') == 7
    assert "<h3>Test report</h3>" in html
    assert 'value="62.5"' in html
    assert 'href="https://ci.example.org/chart.png" rel="noopener noreferrer nofollow"' in html
    assert 'class="artifact"' not in browser.get(f"/ui/runs/{seed.ids['running']}").text


def test_a_long_table_is_shown_in_part_and_says_so(browser: TestClient, seed: Seed) -> None:
    rows = [[number, f"row {number}"] for number in range(1200)]
    found = artifact(seed, "table", {"columns": ["n", "what"], "rows": rows})
    html = browser.get(f"/ui/artifacts/{found}").text
    assert "row 499" in html
    assert "row 500" not in html
    assert "The first 500 of 1\u202f200 rows" in html


def test_what_a_page_cannot_show_is_told(browser: TestClient, seed: Seed) -> None:
    large = seed.add(Artifact, kind="markdown", content=b'""', content_format="json", size=5_000_000, number=None)
    reference = json.dumps({"key": "p/none/artifact-x", "bytes": 1, "sha256": "0"}).encode()
    gone = seed.add(Artifact, kind="markdown", content=reference, content_format="local:json", size=9, number=None)
    assert "too large for a page" in browser.get(f"/ui/artifacts/{large}").text
    assert "is gone" in browser.get(f"/ui/artifacts/{gone}").text


def test_an_artifact_is_deleted_after_a_question(browser: TestClient, seed: Seed) -> None:
    address = f"/ui/artifacts/{seed.ids['table']}"
    answer = send(browser, f"{address}/delete", f"{address}/delete")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/artifacts?done=artifact-deleted")
    assert browser.get(address).status_code == 404
    assert browser.get("/ui/artifacts?key=coverage").text.count('class="main-cell"') == 1


def test_who_may_only_look_gets_no_button(browser_of: Callable[[str], TestClient], store: Store) -> None:
    found = artifact(Seed(store, seed=8), "progress", 5)
    viewer = browser_of("viewer")
    assert f"{found}/delete" not in viewer.get(f"/ui/artifacts/{found}").text
    assert viewer.get(f"/ui/artifacts/{found}/delete").status_code == 403


def test_an_artifact_of_another_workspace_is_not_there(browser: TestClient, store: Store) -> None:
    foreign = Seed(store).add(
        Artifact,
        workspace_id=new_id(),
        kind="markdown",
        content=b'""',
        content_format="json",
        number=None,
        key="theirs",
    )
    assert browser.get(f"/ui/artifacts/{foreign}").status_code == 404
    assert "theirs" not in browser.get("/ui/artifacts").text


def test_a_moving_bar_wakes_its_pages(store: Store) -> None:
    found = artifact(Seed(store), "progress", 5)

    async def scene() -> set[str]:
        bell = live.Bell(store)
        with bell.subscribe(["artifacts"]) as page:
            await asyncio.sleep(0.2)  # the thread binds its listener
            with store.write() as tx:
                values: dict[str, Any] = {"content": b"50.0", "size": 4, "digest": "x"}
                artifacts.progress(tx, Scope(), found, values, done=False)
            return await page.changes(10)

    assert asyncio.run(scene()) == {"artifacts"}
