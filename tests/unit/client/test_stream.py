"""Following a stream across lost connections: a server on a real socket that hangs up."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hub.client import Client, stream
from hub.errors import NotFoundError, UnavailableError

HELLO = "retry: 1000\nid: 7\n\n"


class Server(http.server.ThreadingHTTPServer):
    """Answers each request with the next of `answers`: a body, or a failing status."""

    daemon_threads = True

    def __init__(self, answers: list[str | int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = answers, [""] * 0


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("last-event-id", ""))
        answer = self.server.answers.pop(0) if self.server.answers else 503
        self.send_response(answer if isinstance(answer, int) else 200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        if isinstance(answer, str):
            self.wfile.write(answer.encode())

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(*answers: str | int) -> Iterator[tuple[Server, Client]]:
    with Server(list(answers)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with Client(f"http://127.0.0.1:{server.server_port}", tries=3) as client:
                yield server, client
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FIRST_WAIT", 0.001)


def event(number: int) -> str:
    return f'id: {number}\nevent: hub.run.failed\ndata: {{"seq": {number}}}\n\n'


def test_a_stream_that_breaks_before_the_first_event_goes_on_from_where_it_began() -> None:
    with serving(HELLO, HELLO + event(8)) as (server, client):
        assert next(client.stream()).data == {"seq": 8}
        assert server.asked == ["", "7"]


def test_one_that_breaks_later_goes_on_after_the_last_event() -> None:
    with serving(HELLO + event(8), 503, event(9)) as (server, client):
        messages = client.stream()
        assert [next(messages).data["seq"] for _ in range(2)] == [8, 9]
        assert server.asked == ["", "8", "8"]


def test_a_farewell_is_no_failure_however_many_there_are() -> None:
    bye = HELLO + "event: bye\ndata: {}\n\n"
    with serving(*[bye] * 6, event(8)) as (_server, client):
        assert next(client.stream()).id == "8"


def test_it_gives_up_when_the_hub_stays_away() -> None:
    with serving(HELLO) as (server, client):
        with pytest.raises(UnavailableError):
            next(client.stream())
        assert len(server.asked) == 3


def test_a_listener_who_wants_to_hear_of_it_is_told_once_and_never_given_up() -> None:
    lost: list[UnavailableError] = []
    with serving(HELLO, 503, 502, 503, 503, event(8)) as (_server, client):
        assert next(client.stream(lost=lost.append)).id == "8"
    assert len(lost) == 1


def test_a_hub_that_was_never_there_is_an_error_even_so() -> None:
    with serving() as (_server, client), pytest.raises(UnavailableError):
        next(client.stream(lost=lambda _error: None))


def test_a_refusal_is_told_at_once() -> None:
    with serving(HELLO, 404) as (server, client):
        with pytest.raises(NotFoundError):
            next(client.stream(lost=lambda _error: None))
        assert len(server.asked) == 2
