"""Where the boxes and curves of a lineage graph are."""

from __future__ import annotations

import pytest
from hub.graphs.layout import wide
from hub.store import Store, assets
from hub.store.assets import Tried
from hub.types import Scope, new_id
from hub.web.ui.lineage import GAP_X, GAP_Y, HEIGHT, NAME, NOTE, PAD, WIDTH, end_of, layered, start_of
from starlette.testclient import TestClient

LONG = "s3://a-lake/with/a/long/path/to/orders.parquet"


def test_columns_stand_side_by_side_and_are_centred() -> None:
    graph = layered({-1: ["a", "b"], 0: ["c"], 1: ["d"]}, [("a", "c"), ("b", "c"), ("c", "d"), ("gone", "d")])
    places = {box.id: (box.x, box.y) for box in graph.boxes}
    assert [places[one][0] for one in "abcd"] == [0, 0, WIDTH + GAP_X, 2 * (WIDTH + GAP_X)]
    assert places["b"][1] - places["a"][1] == HEIGHT + GAP_Y
    assert places["c"][1] == places["d"][1] == (HEIGHT + GAP_Y) // 2
    assert len(graph.curves) == 3
    assert (graph.width, graph.height) == (3 * WIDTH + 2 * GAP_X, 2 * HEIGHT + GAP_Y)


def test_an_asset_alone_and_a_circle_are_no_trouble(store: Store, browser: TestClient) -> None:
    assert layered({0: ["a"]}, []).width == WIDTH
    with store.write() as tx:
        for key, upstream in (("s3://a/1", ("s3://a/2",)), ("s3://a/2", ("s3://a/1",)), ("s3://a/3", ())):
            assets.record(tx, Scope(), Tried((key,), upstream, new_id(), new_id(), "f", "t", 1))
        ids = {row["key"]: row["id"] for row in assets.listing(tx, Scope()).items}
    assert browser.get(f"/ui/assets/{ids['s3://a/1']}").text.count('class="curve"') == 2
    assert "made from no known asset" in browser.get(f"/ui/assets/{ids['s3://a/3']}").text


def test_a_graph_shows_the_neighbours_and_links_to_them(store: Store, browser: TestClient) -> None:
    with store.write() as tx:
        for number in range(5):
            upstream = (f"s3://chain/{number - 1}",) if number else ()
            tried = Tried((f"s3://chain/{number}",), upstream, new_id(), new_id(), "f", "t", 1)
            assets.record(tx, Scope(), tried)
        ids = {row["key"]: row["id"] for row in assets.listing(tx, Scope()).items}
    html = browser.get(f"/ui/assets/{ids['s3://chain/1']}").text
    shown = [number for number in range(5) if f'<a href="/ui/assets/{ids[f"s3://chain/{number}"]}"' in html]
    assert shown == [0, 1, 2, 3]
    assert html.count('aria-current="page"') >= 1


@pytest.mark.parametrize("text", ["short", LONG, "s3://湖/注文/二〇二六年/十一月/二十六日"])
def test_a_line_that_has_no_room_in_its_box_is_cut_by_its_width(text: str) -> None:
    end, start = end_of(text), start_of(text)
    assert wide(end, NAME) <= WIDTH - 2 * PAD
    assert wide(start, NOTE) <= WIDTH - 2 * PAD
    assert text.endswith(end.removeprefix("…"))
    assert text.startswith(start.removesuffix("…"))
    assert (text in (end, start)) == (text == "short")


def test_both_lines_of_a_box_are_cut(store: Store, browser: TestClient) -> None:
    key, task = LONG, "write_orders_of_the_day_to_the_lake"
    with store.write() as tx:
        assets.record(tx, Scope(), Tried((key,), ("s3://b/raw",), new_id(), new_id(), "f", task, 1))
        asset_id = next(row["id"] for row in assets.listing(tx, Scope()).items if row["key"] == key)
    html = browser.get(f"/ui/assets/{asset_id}").text
    assert f">{end_of(key)}</text>" in html
    assert f">{start_of('materialized, ' + task)}</text>" in html
