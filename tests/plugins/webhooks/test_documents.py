"""What is remembered of look-ups, by threads and by senders who make up names; and data that travels as base64."""

from __future__ import annotations

import ast
import base64
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hub.errors import TransientError
from hub.webhooks.events import provider_events
from hub.webhooks.request import WebhookRequest

from hub_plugins.webhooks.documents import AT_ONCE, Documents, Unavailable

from .keyed import PRESETS, Bench


def test_threads_wait_for_one_look_up(bench: Bench) -> None:
    calls: list[int] = []

    def load() -> str:
        calls.append(1)
        time.sleep(0.1)
        return "value"

    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(bench.documents.get("name", "s", load))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert (found, calls) == (["value"] * 20, [1])


def test_only_so_many_are_under_way_and_the_rest_is_told_to_come_back(bench: Bench) -> None:
    go, begun = threading.Event(), threading.Semaphore(0)

    def load() -> str:
        begun.release()
        go.wait(5)
        return "value"

    threads = [
        threading.Thread(target=bench.documents.get, args=(f"name {index}", f"source {index}", load))
        for index in range(AT_ONCE)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        begun.acquire(timeout=5)
    with pytest.raises(Unavailable):
        bench.documents.get("another", "another", load)
    go.set()
    for thread in threads:
        thread.join(5)
    assert bench.documents.get("another", "another", lambda: "now") == "now"


def test_an_error_of_ours_leaves_no_look_up_behind(bench: Bench) -> None:
    def broken() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bench.documents.get("name", "s", broken)
    bench.clock += 31
    assert bench.documents.get("name", "s", lambda: "value") == "value"


def test_names_that_senders_make_up_do_not_fill_the_memory(bench: Bench) -> None:
    def fail() -> str:
        raise TransientError("no")

    for index in range(5_000):
        with pytest.raises(Unavailable):
            bench.documents.get(f"name {index}", f"source {index // 1_000}", fail)
    assert len(bench.documents._entries) == 100, "20 look-ups of each of 5 sources"
    bench.clock += 60
    for index in range(600):
        assert bench.documents.get(f"name {index}", f"other {index}", lambda: "value") == "value"
    assert len(bench.documents._entries) <= 512


def test_another_source_is_not_held_up_by_one_that_asks_too_much(bench: Bench) -> None:
    for index in range(20):
        assert bench.documents.get(f"name {index}", "busy", lambda: 1) == 1
    with pytest.raises(Unavailable) as caught:
        bench.documents.get("name 20", "busy", lambda: 1)
    assert caught.value.retry_after >= 3
    assert bench.documents.get("name 20", "quiet", lambda: 1) == 1
    bench.clock += 3.1
    assert bench.documents.get("name 21", "busy", lambda: 1) == 1


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (base64.b64encode(b'{"order":"A-1001"}').decode(), {"order": "A-1001"}),
        (base64.b64encode("Grüße".encode()).decode(), "Grüße"),
        (base64.b64encode(b"\xff\xfe").decode(), "//4="),
        ("no base64", "no base64"),
        ("", ""),
        (None, None),
        (7, 7),
    ],
    ids=range(7),
)
def test_the_data_of_pubsub_is_decoded(data: Any, decoded: Any) -> None:
    body = json.dumps({"message": {"data": data, "messageId": "1"}, "subscription": "s"}).encode()
    preset = PRESETS.get("google-pubsub")
    options = {name: option.example for name, option in preset.options.items() if option.default is None}
    (event,) = provider_events(preset, WebhookRequest("POST", "", (), body), options)
    assert event.data == {"message": {"data": decoded, "messageId": "1"}, "subscription": "s"}


def test_the_second_implementation_shares_no_code_with_the_first() -> None:
    tree = ast.parse(Path(__file__).with_name("second_jose.py").read_text("utf-8"))
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in names if name.startswith(("hub", "tests", "joserfc", "authlib"))]


def test_documents_of_a_hub_are_fetched_under_its_settings() -> None:
    from hub.settings import Settings

    from hub_plugins.webhooks.verifying import Verifiers, caller_of

    caller = caller_of(Settings(outbound_networks=("10.0.0.0/8",)))
    assert [str(net) for net in caller.rule.networks] == ["10.0.0.0/8"]
    assert Verifiers.of(Settings()) is not None
    assert isinstance(Documents(caller), Documents)
