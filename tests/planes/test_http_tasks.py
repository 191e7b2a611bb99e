"""HTTP requests as tasks, against a real server: what is sent, what comes back, what a status means."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, http
from hub.errorclasses import class_of
from hub.errors import ParameterError, RequestFailed, RunTimedOut, UsageError
from hub.runtime.commands import Command, apply
from hub.types import Scope

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

TOKEN = "canary-token-4471"


class Api:
    """A server that answers by `answer(handler, body)` and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], object] = lambda handler: reply(handler, 200, b"{}")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {key.lower(): value for key, value in self.headers.items()}
                outer.asked.append({"method": self.command, "path": self.path, "headers": headers, "body": body})
                outer.answer(self)

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()
    try:
        yield found
    finally:
        found.server.shutdown()
        found.server.server_close()


def test_parameters_stand_where_they_belong_and_go_nowhere_else(api: Api) -> None:
    task = http(
        api.url + "/a/{name}", method="post", params={"q": "{q}", "n": "{n}", "none": "{no}"},
        headers={"X-Day": "d{n}"}, json={"n": "{n}", "text": "n is {n}", "deep": ["{deep}", True]},
        defaults={"no": None},
    )  # fmt: skip
    assert task.name == "post"
    assert task.fn("x/../?#&é", q=["a b", "c&d"], n=3, deep={"k": [1]}) == {}
    (asked,) = api.asked
    assert asked["method"] == "POST"
    assert asked["path"] == "/a/x%2F..%2F%3F%23%26%C3%A9?q=a+b&q=c%26d&n=3"
    assert asked["headers"]["x-day"] == "d3"
    assert json.loads(asked["body"]) == {"n": 3, "text": "n is 3", "deep": [{"k": [1]}, True]}
    http(api.url, method="PUT", data={"a": "{x}", "b": "1"}).fn("ä&")
    http(api.url, method="PUT", data="raw {x}").fn("ä")
    assert [request["body"] for request in api.asked[1:]] == [b"a=%C3%A4%26&b=1", "raw ä".encode()]


@pytest.mark.parametrize(
    ("task", "value", "says"),
    [
        (http("http://127.0.0.1:9/a/{x}/b"), "..", "a path of"),
        (http("http://127.0.0.1:9/", headers={"A": "{x}"}), "a\r\nB: c", "line break"),
        (http("http://127.0.0.1:9/", json={"a": "{x}"}), object(), "cannot be sent as JSON"),
        (http("http://127.0.0.1:9/", json={"a": "{x}"}), float("nan"), "cannot be sent as JSON"),
    ],
)
def test_values_that_would_change_the_request_are_refused(task: Any, value: Any, says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        task.fn(value)


def test_outputs(api: Api) -> None:
    api.answer = lambda handler: reply(handler, 200, b'{"a":"\xc3\xa4"}', X_Kind="good", Set_Cookie="s=1")
    assert http(api.url).fn() == {"a": "ä"}
    assert http(api.url, output="text").fn() == '{"a":"ä"}'
    assert http(api.url, output="bytes").fn() == b'{"a":"\xc3\xa4"}'
    summary = http(api.url, output="response").fn()
    assert (summary["status"], summary["text"], summary["headers"]["x-kind"]) == (200, '{"a":"ä"}', "good")
    assert "set-cookie" not in summary["headers"]
    json.dumps(summary)
    api.answer = lambda handler: reply(handler, 204)
    assert http(api.url).fn() is None
    api.answer = lambda handler: reply(handler, 404, b'{"gone": true}')
    assert http(api.url, expected=[200, 404]).fn() == {"gone": True}


@pytest.mark.parametrize(
    ("status", "kind", "more"),
    [
        (404, "user_error", {}), (401, "user_error", {}), (500, "infrastructure", {}), (503, "infrastructure", {}),
        (429, "rate_limited", {}), (408, "timeout", {}), (504, "timeout", {}), (302, "user_error", {}),
        (418, "infrastructure", {"status_classes": {418: "infrastructure"}}), (201, "user_error", {"expected": 200}),
    ],
)  # fmt: skip
def test_every_status_has_a_class(api: Api, status: int, kind: str, more: dict[str, Any]) -> None:
    api.answer = lambda handler: reply(handler, status, b"because", Location="https://u:p@elsewhere.example/x?secret=1")
    with pytest.raises(RequestFailed, match=f"GET {api.url}/p was answered {status} .*: because") as caught:
        http(api.url + "/p?key={x}", **more).fn("private")
    error = caught.value
    assert (class_of(error).value, error.status_code, error.body) == (kind, status, "because")
    assert "private" not in str(error) + error.hint
    assert error.hint == (
        "It redirects to https://elsewhere.example/x; follow_redirects=True follows." if status == 302 else ""
    )


def test_redirects_are_followed_where_that_is_said_and_not_for_ever(api: Api) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/end":
            reply(handler, 200, b"[1]")
        else:
            reply(handler, 302, Location="/end" if handler.path == "/a" else "/round")

    api.answer = answer
    assert http(api.url + "/a", follow_redirects=True).fn() == [1]
    with pytest.raises(RequestFailed, match="TooManyRedirects"):
        http(api.url + "/round", follow_redirects=True).fn()


def test_what_is_no_answer_is_told_apart(api: Api) -> None:
    with pytest.raises(RequestFailed, match="ConnectError") as caught:
        http("http://127.0.0.1:9/x").fn()
    assert class_of(caught.value).value == "infrastructure"
    held = threading.Event()
    api.answer = lambda _: held.wait(30)
    with pytest.raises(RequestFailed, match=r"no answer within 0\.2 s") as caught:
        http(api.url, timeout=0.2).fn()
    held.set()
    assert class_of(caught.value).value == "timeout"
    api.answer = lambda handler: reply(handler, 200, b"<html>")
    with pytest.raises(RequestFailed, match="is not JSON"):
        http(api.url).fn()
    api.answer = lambda handler: reply(handler, 200, b"x" * 5_000)
    with pytest.raises(RequestFailed, match="larger than 4000 bytes"):
        http(api.url, output="text", max_body=4_000).fn()


def test_retry_after_makes_the_delay_longer_and_every_try_has_one_key(api: Api, plane: Plane) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, *((429, b"") if len(api.asked) == 1 else (200, b"7")), Retry_After="1")

    api.answer = answer
    ask = http(api.url + "/{n}", retries=2, retry_on="rate_limited", idempotency_key=True, name="ask")

    @flow
    def whole() -> Any:
        return ask(1)

    began = time.monotonic()
    assert whole() == 7
    assert time.monotonic() - began >= 1.0
    keys = [request["headers"]["idempotency-key"] for request in api.asked]
    assert (len(keys), len(set(keys)), len(keys[0])) == (2, 1, 36)
    assert "GET " + api.url + "/1: 429, 0 bytes" in [message for _, message in plane.logs()]


def test_a_body_that_never_ends_is_left_at_the_task_s_timeout(api: Api, plane: Plane) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                handler.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.02)

    api.answer = answer
    drip = http(api.url, timeout_seconds=0.5, name="drip")

    @flow
    def whole() -> Any:
        return drip.submit().result()

    with pytest.raises(RunTimedOut, match="drip-0 was over its timeout"):
        whole()


def test_a_connection_gives_the_address_and_the_credential_and_shows_neither(api: Api, plane: Plane) -> None:
    def make(name: str, kind: str, **fields: str) -> None:
        apply(plane.store, Command("connection.set", Scope(), name, {"name": name, "kind": kind, "fields": fields}))

    make("shop", "http", url=api.url + "/v1", token=TOKEN)
    api.answer = lambda handler: reply(handler, 500, f"you sent {TOKEN}".encode())
    order = http("/orders/{id}", connection="shop", name="order")

    @flow
    def whole() -> Any:
        return order("a/b")

    with pytest.raises(RequestFailed, match=r"you sent \*\*\*"):
        whole()
    (asked,) = api.asked
    assert (asked["path"], asked["headers"]["authorization"]) == ("/v1/orders/a%2Fb", f"Bearer {TOKEN}")
    assert TOKEN not in json.dumps([plane.logs(), plane.tasks(), plane.rows()], default=str)
    make("files", "files", path="/x")
    with pytest.raises(UsageError, match="not http"):
        http("/x", connection="files").fn()
