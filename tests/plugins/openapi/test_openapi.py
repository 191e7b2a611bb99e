"""Operations of documents: of a shop that refuses what its document does not allow, and of the hub itself."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub import flow
from hub.cli import main
from hub.errors import ParameterError, PermanentError, UsageError
from hub.plugins import load_plugins
from hub.settings import load_settings
from hub.testing import harness
from hub.testing.kit import Hub
from tests.plugins.github.server import DOCUMENT as GITHUBS
from tests.plugins.github.server import TOKEN as GITHUB_TOKEN
from tests.plugins.github.server import github
from tests.plugins.openapi.shop import DOCUMENT, SECRET, Shop, shop

from hub_plugins.openapi import client as calls
from hub_plugins.openapi import tasks as api
from hub_plugins.openapi.client import OpenApiError
from hub_plugins.openapi.document import Document
from hub_plugins.openapi.plugin import check
from hub_plugins.openapi.settings import OpenApi

ROOT = Path(__file__).parents[3]
LOOPBACK = ["127.0.0.0/8"]


@pytest.fixture
def server() -> Iterator[Shop]:
    with shop() as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> None:
    calls._documents, calls._tokens = calls._Kept(), calls._Kept()


@pytest.fixture
def kit(server: Shop) -> Iterator[Hub]:
    with harness(outbound_networks=LOOPBACK) as made:
        made.connect("openapi", "openapi", document=f"{server.url}/openapi.json")
        yield made


@flow
def asks(*given: Any, **more: Any) -> Any:
    return api.call(*given, **more)


def test_operations_are_called_as_the_document_says(kit: Hub, server: Shop) -> None:
    @flow
    def whole() -> Any:
        made = api.call("createOrder", body={"item": "tea", "note": None, "next": {"item": "cake"}})
        shown = api.call("showOrder", {"id": "a/b ?ü", "trace": "x1"})
        assert api.call("PUT /orders/{id}", {"id": "7"}, "plain") is None
        query = {"state": ["open", "paid"], "ids": [1, 2], "where": {"day": "2026-11-27"}}
        return made, shown, api.call("listOrders", query)

    made, shown, listed = whole()
    assert made == {"item": "tea", "note": None, "next": {"item": "cake"}, "id": 1}
    assert shown == {"id": "a/b ?ü", "trace": "x1", "body": ""}
    assert listed == [{"state": ["open", "paid"], "ids": ["1,2"], "where[day]": ["2026-11-27"]}]


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no operation": (lambda: api.call("showOrders"), "no operation 'showOrders'"),
    "no parameter": (lambda: api.call("showOrder", {"ID": "7"}), "id is missing; it has no parameter ID"),
    "a type": (lambda: api.call("listOrders", {"page": "one"}), "page: 'one' is not of type 'integer'"),
    "a limit": (lambda: api.call("listOrders", {"page": 0, "per": 101}), "page: 0 is less than .* per: 101 is greater"),
    "a value": (lambda: api.call("listOrders", {"state": ["lost"]}), "state: 0: 'lost' is not one of"),
    "no body": (lambda: api.call("createOrder"), "it needs a body"),
    "a body too many": (lambda: api.call("showOrder", {"id": "7"}, {}), "it takes no body"),
    "a body": (lambda: api.call("createOrder", body={"next": {"item": ""}}), "'item' is a required property"),
    "another path": (lambda: api.call("showOrder", {"id": ".."}), "would make another path"),
    "a line break": (lambda: api.call("showOrder", {"id": "7", "trace": "a\r\nb: c"}), "line break"),
    "pages of a change": (lambda: api.pages("createOrder"), "only GET gives pages"),
    "no list": (lambda: api.pages("listOrders", items="rows"), "has no list at 'rows'"),
}


def test_what_does_not_fit_the_document_is_not_sent(kit: Hub, server: Shop) -> None:
    @flow
    def fails(name: str) -> None:
        WRONG[name][0]()

    for name, (_, told) in WRONG.items():
        with pytest.raises((ParameterError, UsageError), match=told):
            fails(name)
        assert kit.runs(fails)[-1].tasks[0].attempt == 1, name
    assert server.asked == ["GET /v1/orders"], "but for the list that was none"


@pytest.mark.parametrize(
    "how",
    [
        {"items": "data.rows", "cursor": "meta.cursor"},
        {"items": "data.rows", "parameter": "page"},
        {"parameters": {"per": 1}},
    ],
    ids=["cursor", "page", "link"],
)
def test_all_pages_are_read(kit: Hub, server: Shop, how: dict[str, Any]) -> None:
    server.orders = [{"id": number} for number in range(8)]

    @flow
    def all_of_them() -> Any:
        return api.pages("listOrders", **how)

    assert all_of_them() == server.orders
    assert len(server.asked) == (4 if how.get("parameter") else 3)


def test_a_next_page_elsewhere_is_not_asked_for(kit: Hub, server: Shop) -> None:
    lure = {"link": '<https://evil.example/x>; rel="next"'}
    server._page = lambda _query: (200, lure, [])  # type: ignore[method-assign]

    @flow
    def lured() -> Any:
        return api.pages("listOrders")

    with pytest.raises(OpenApiError, match="is not the API's own address"):
        lured()


@pytest.mark.parametrize(
    ("trouble", "operation", "tries", "waits"),
    [
        ((429, {"retry-after": "120"}), "createOrder", 2, 120),
        ((503, {}), "createOrder", 2, 1),
        ((502, {}), "showOrder", 2, 1),
        ("cut", "showOrder", 2, 1),
        ("cut", "createOnce", 2, 1),
        ((502, {}), "createOrder", 1, 0),
        ("cut", "createOrder", 1, 0),
        ((404, {}), "showOrder", 1, 0),
    ],
)
def test_only_what_does_nothing_twice_is_tried_again(
    kit: Hub, server: Shop, trouble: Any, operation: str, tries: int, waits: int
) -> None:
    server.trouble = lambda number: trouble if number == 1 else None
    given: dict[str, Any] = {"parameters": {"id": "7"}} if operation == "showOrder" else {"body": {"item": "tea"}}

    @flow
    def asked() -> Any:
        return api.call(operation, **given)

    with nullcontext() if tries == 2 else pytest.raises(OpenApiError):
        asked()
    run = kit.run(asked)
    assert (run.ok, run.tasks[0].attempt) == (tries == 2, tries)
    assert (run.ended_at - run.started_at).total_seconds() >= waits
    assert len(server.orders) <= 1


AUTHS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "bearer": ({"token": SECRET}, {"auth": f"Bearer {SECRET}"}),
    "basic": (
        {"user": "hub", "password": SECRET},
        {"auth": "Basic " + base64.b64encode(f"hub:{SECRET}".encode()).decode()},
    ),
    "api-key": ({"key": SECRET, "key_name": "X-Shop"}, {"key": ("x-shop", SECRET)}),
    "api-key in query": ({"key": SECRET, "key_name": "api_key", "key_in": "query"}, {"key": ("query", SECRET)}),
    "api-key in cookie": ({"key": SECRET, "key_name": "c", "key_in": "cookie"}, {"key": ("cookie", f"c={SECRET}")}),
}


@pytest.mark.parametrize("auth", AUTHS)
def test_each_way_in(server: Shop, auth: str) -> None:
    fields, wants = AUTHS[auth]
    for name, value in wants.items():
        setattr(server, name, value)
    with harness(outbound_networks=LOOPBACK) as kit:
        place = {"document": f"{server.url}/openapi.json", "url": f"{server.url}/v1"}
        kit.connect("openapi", "openapi", auth=auth.partition(" ")[0], **place, **fields)
        assert asks("showOrder", {"id": "7"})["id"] == "7"
        server.auth, server.key = "Bearer another", ("x-shop", "another")
        with pytest.raises(OpenApiError, match="answered 401") as caught:
            asks("showOrder", {"id": "7"})
        assert SECRET not in str(caught.value) + caught.value.body


def test_a_client_gets_a_token_once_and_anew_when_it_is_withdrawn(server: Shop) -> None:
    place = {"document": f"{server.url}/openapi.json", "url": f"{server.url}/v1", "token_url": f"{server.url}/token"}
    with harness(outbound_networks=LOOPBACK) as kit:
        kit.connect("openapi", "openapi", auth="oauth2", client_id="hub", client_secret=SECRET, scope="orders", **place)
        for _ in range(2):
            asks("showOrder", {"id": "7"})
        assert server.tokens == 1
        server.auth = "Bearer token-9"
        asks("showOrder", {"id": "7"})
        assert server.tokens == 2
        kit.connect("openapi", "other", auth="oauth2", client_id="hub", client_secret="wrong", **place)
        with pytest.raises(OpenApiError, match="token was answered 401") as caught:
            asks("showOrder", {"id": "7"}, connection="other")
        assert "wrong" not in str(caught.value)


def test_private_addresses_need_to_be_allowed(server: Shop) -> None:
    with harness() as kit:
        kit.connect("openapi", "openapi", document=f"{server.url}/openapi.json")
        with pytest.raises(OpenApiError, match="not one that the hub may call"):
            asks("showOrder", {"id": "7"})
    assert server.asked == []


def test_the_credential_goes_where_the_owner_says(server: Shop, tmp_path: Path) -> None:
    elsewhere = {**DOCUMENT, "servers": [{"url": "https://evil.example"}]}
    server.answer = lambda *_: (200, {}, elsewhere)  # type: ignore[method-assign]
    with harness(outbound_networks=LOOPBACK) as kit:
        kit.connect("openapi", "openapi", document=f"{server.url}/openapi.json", auth="bearer", token=SECRET)
        with pytest.raises(OpenApiError, match=r"names https://evil.example as the API"):
            asks("showOrder", {"id": "7"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "neither JSON nor YAML"),
        ("- 1", "is no object"),
        ("swagger: '2.0'\npaths: {}", "no OpenAPI document of version 3"),
        ("openapi: 3.1.0\npaths: {/a: {get: {parameters: [{$ref: 'other.yaml#/x'}]}}}", "refers to another one"),
        ("openapi: 3.1.0\npaths: {/a: {$ref: '#/paths/~1a'}}", "go round"),
        ("openapi: 3.1.0\npaths: {/a: {get: {parameters: [{name: x}]}}}", "is no parameter"),
    ],
)
def test_what_is_no_document_says_so(text: str, told: str) -> None:
    with pytest.raises(PermanentError, match=told):
        Document(text.encode())


def test_yaml_that_grows_is_read_in_no_time() -> None:
    lines = ["openapi: 3.0.0", "paths: {}", "a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert Document("\n".join(lines).encode()).operations == {}


def test_githubs_own_document_against_a_server_that_keeps_to_it() -> None:
    """Must show 5: a document as its vendor publishes it, and a server that takes only what stands there."""
    at = {"owner": "octo", "repo": "spoke"}
    with github() as far, harness(outbound_networks=LOOPBACK) as kit:
        place = {"document": str(GITHUBS), "url": far.url, "auth": "bearer", "token": GITHUB_TOKEN}
        kit.connect("openapi", "github", **place)

        @flow
        def whole() -> Any:
            for title in ("one", "two"):
                given = {"title": title, "labels": ["bug"], "assignees": []}
                api.call("issues/create", at, given, connection="github")
            check = {"name": "etl", "head_sha": "ab" * 20, "conclusion": "well"}
            with pytest.raises(ParameterError, match="conclusion: 'well' is not one of"):
                api.call("checks/create", at, check, connection="github")
            told = api.call("repos/create-dispatch-event", at, {"event_type": "loaded"}, connection="github")
            return told, api.pages("issues/list-for-repo", {**at, "state": "all", "per_page": 100}, connection="github")

        told, listed = whole()
    assert (told, [one["title"] for one in listed]) == (None, ["two", "one"])
    assert far.dispatched == [("", {"event_type": "loaded"})]
    assert far.checks == [], "what does not fit was not sent"


def test_the_hubs_own_document_against_a_hub(tmp_path: Path) -> None:
    """Must show 5: the API that the hub publishes is called by what it publishes."""
    env = {**os.environ, "HUB_HOME": str(tmp_path / "served")}
    command = [sys.executable, "-m", "hub.cli", "web", "--port", "0"]
    served = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert served.stdout is not None
        url = next(found[0] for line in served.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        with harness(outbound_networks=LOOPBACK) as kit:
            kit.connect("openapi", "hub", document=str(ROOT / "docs/openapi.json"), url=url)

            @flow
            def whole() -> Any:
                for number in range(3):
                    body = {"value": {"number": number}}
                    api.call("put_variable", {"name": f"v{number}"}, body, connection="hub")
                shown = api.call("get_variable", {"name": "v1"}, connection="hub")
                with pytest.raises(ParameterError, match="limit: 1000 is greater"):
                    api.call("list_variables", {"limit": 1000}, connection="hub")
                given = {"parameters": {"limit": 2}, "items": "items", "cursor": "next_cursor", "parameter": "cursor"}
                return shown, api.pages("list_variables", connection="hub", **given)

            shown, listed = whole()
        assert shown["value"] == {"number": 1}
        assert sorted(one["name"] for one in listed) == ["v0", "v1", "v2"]
    finally:
        served.kill()
        served.wait(20)
        if served.stdout is not None:
            served.stdout.close()


def test_a_connection_is_checked(server: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_OUTBOUND_NETWORKS", "127.0.0.0/8")
    assert check(OpenApi(document=f"{server.url}/openapi.json")) == f"5 operations at {server.url}/v1"
    with pytest.raises(PermanentError, match="answered 404"):
        check(OpenApi(document=f"{server.url}/v1/nothing"))


def test_operations_are_listed_on_the_command_line(
    server: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_OUTBOUND_NETWORKS", "127.0.0.0/8")
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    assert main(["apis", "ls", str(path), "--find", "order"]) == 0
    assert "listOrders" in capsys.readouterr().out
    assert main(["apis", "ls", f"{server.url}/openapi.json", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["operation"] for row in rows][-2:] == ["showOrder", "PUT /orders/{id}"]
    assert main(["apis", "show", str(path), "createOrder", "--json"]) == 0
    (body,) = json.loads(capsys.readouterr().out)
    assert (body["name"], body["in"], body["type"]) == ("body", "application/json", "Order")
    assert main(["apis", "ls", str(tmp_path / "none")]) == 3
    assert main(["apis", "show", str(path), "nothing"]) == 2


def test_the_plugin_brings_its_kind_and_its_actions() -> None:
    hooks = load_plugins(load_settings(), process="worker").hooks
    assert "openapi" in {kind.name for kind in hooks.connection_kinds()}
    assert {"openapi.call", "openapi.pages"} <= set(hooks.actions())
