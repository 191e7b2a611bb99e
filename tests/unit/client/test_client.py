from __future__ import annotations

import http.server
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from hub.client import Client, segment
from hub.client.inprocess import InProcess
from hub.errors import ConflictError, NotFoundError, ParameterError, UnavailableError, UsageError
from hub.web.problems import problem_of
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


@contextmanager
def hub(*routes: Route, **more: Any) -> Iterator[Client]:
    transport = InProcess(Starlette(routes=list(routes)))
    with Client("http://hub.internal", transport=transport, **more) as client:
        yield client


def numbers(request: Request) -> JSONResponse:
    start, limit = int(request.query_params.get("cursor", "0")), int(request.query_params["limit"])
    items = [{"n": n} for n in range(start, min(start + limit, 450))]
    return JSONResponse({"items": items, "next_cursor": str(start + limit) if start + limit < 450 else None})


def test_it_reads_a_list_to_its_end() -> None:
    with hub(Route("/api/v1/numbers", numbers)) as client:
        assert [item["n"] for item in client.items("/numbers")] == list(range(450))
        assert len(list(client.items("/numbers", limit=7))) == 7
        assert len(list(client.items("/numbers", limit=201))) == 201


@pytest.mark.parametrize("kind", [NotFoundError, ConflictError, ParameterError, UsageError])
def test_a_problem_comes_back_as_the_error_it_was(kind: type[Exception]) -> None:
    def fail(request: Request) -> Response:
        return problem_of(request, kind("no", hint="yes", holder="x"))  # type: ignore[arg-type,call-arg]

    with hub(Route("/api/v1/fail", fail)) as client, pytest.raises(kind) as caught:
        client.get("/fail")
    assert type(caught.value) is kind
    assert (caught.value.detail, caught.value.hint) == ("no", "yes")  # type: ignore[attr-defined]
    assert caught.value.fields == {"holder": "x"}  # type: ignore[attr-defined]


def failing(times: int, seen: list[Request]) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        seen.append(request)
        return Response(status_code=503) if len(seen) <= times else JSONResponse({"tries": len(seen)})

    return answer


@pytest.mark.parametrize(("method", "tries"), [("GET", 3), ("PUT", 3), ("DELETE", 3)])
def test_what_is_safe_to_repeat_is_repeated(method: str, tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.client.FIRST_WAIT", 0.001)
    seen: list[Request] = []
    with hub(Route("/api/v1/x", failing(2, seen), methods=[method])) as client:
        assert client.request(method, "/x") == {"tries": tries}


def test_a_post_is_repeated_under_one_idempotency_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.client.FIRST_WAIT", 0.001)
    seen: list[Request] = []
    with hub(Route("/api/v1/x", failing(2, seen), methods=["POST"])) as client:
        client.post("/x", {"a": 1})
    keys = {request.headers["idempotency-key"] for request in seen}
    assert (len(seen), len(keys)) == (3, 1)


def test_a_patch_is_sent_once() -> None:
    seen: list[Request] = []
    with (
        hub(Route("/api/v1/x", failing(2, seen), methods=["PATCH"])) as client,
        pytest.raises(UnavailableError),
    ):
        client.patch("/x", {})
    assert len(seen) == 1


def test_a_hub_that_is_away_is_said_to_be() -> None:
    with (
        Client("http://127.0.0.1:9", tries=1) as client,
        pytest.raises(UnavailableError, match="cannot be reached"),
    ):
        client.get("/runs")


def test_it_carries_its_token_and_shows_it_nowhere() -> None:
    def who(request: Request) -> Response:
        return JSONResponse(request.headers["authorization"])

    with hub(Route("/api/v1/who", who), token="hub_api_secret") as client:
        assert client.get("/who") == "Bearer hub_api_secret"
        assert "secret" not in repr(client)


def test_names_are_quoted_for_paths() -> None:
    assert segment("a/b c") == "a%2Fb%20c"


def test_a_stream_streams_and_goes_on_after_the_last_message_seen() -> None:
    asked: list[str] = []

    async def stream(request: Request) -> StreamingResponse:
        after = request.headers.get("last-event-id", "0")
        asked.append(after)

        async def body() -> AsyncIterator[str]:
            first = int(after) + 1
            for number in (first, first + 1):
                yield f': ping\n\nid: {number}\nevent: hub.run.completed\ndata: {{"n": {number}}}\n\n'
            yield "event: bye\ndata: {}\n\n"

        return StreamingResponse(body(), media_type="text/event-stream")

    with hub(Route("/api/v1/stream", stream)) as client:
        messages = client.stream()
        assert [next(messages).data["n"] for _ in range(4)] == [1, 2, 3, 4]
    assert asked == ["0", "2"]


def test_leaving_a_stream_that_never_ends_ends_it() -> None:
    ended = threading.Event()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})
        finally:
            ended.set()

    with Client("http://hub.internal", transport=InProcess(stream)) as client:
        messages = client.stream()
        next(messages)
        messages.close()  # type: ignore[attr-defined]
        assert ended.wait(5)


def test_closing_the_transport_ends_its_thread() -> None:
    transport = InProcess(Starlette(routes=[Route("/api/v1/numbers", numbers)]))
    with Client("http://hub.internal", transport=transport) as client:
        client.page("/numbers", {"limit": 1})
    transport.close()
    assert not transport._thread.is_alive()


def test_an_application_that_fails_is_a_transport_error() -> None:
    def fail(request: Request) -> Response:
        raise RuntimeError("inside")

    with InProcess(Starlette(routes=[Route("/x", fail)])) as transport:
        answer = transport.handle_request(httpx2.Request("GET", "http://hub.internal/x"))
        assert answer.status_code == 500


def test_it_talks_over_the_network_too() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"path": "%s"}' % self.path.encode())

        def log_message(self, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with Client(f"http://127.0.0.1:{server.server_port}") as client:
                found = client.get("/runs", {"paused": True, "state": None, "tag": ["a", "b"]})
        finally:
            server.shutdown()
            thread.join()
    assert found == {"path": "/api/v1/runs?paused=true&tag=a&tag=b"}
