"""What is large travels as gzip where both ends know of it; what comes out, and what a plane takes on, is bounded."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from hub.client.inprocess import InProcess
from hub.errors import TransientError
from hub.web.problems import HANDLERS
from starlette.applications import Starlette

from hub_hybrid import packing
from hub_hybrid.agent import Agent
from hub_hybrid.gate import Gate
from hub_hybrid.plane import MAX_BODY, Plane
from hub_hybrid.wire import MAX_ANSWER, HttpWire

from .checks import RUNS
from .world import Network, PlaneEnd, SiteEnd, answered, plain, push_all, same, whole


class Watching(Network):
    """Keeps how each request travelled; `old`: the plane says nothing of what it can."""

    def __init__(self, app: Any, *, old: bool = False) -> None:
        super().__init__(app)
        self.old = old
        self.sent: list[tuple[str, str, int, int]] = []

    def deliver(self, letter: tuple[str, str, dict[str, str], bytes]) -> httpx2.Response:
        _method, url, headers, content = letter
        encoding = headers.get("content-encoding", "")
        self.sent.append((url.rpartition("/")[2], encoding, len(content), len(plain(headers, content))))
        response = super().deliver(letter)
        if self.old and url.endswith("/sessions"):
            told = json.loads(response.read())
            return answered(200, {name: value for name, value in told.items() if name != "capabilities"})
        return response


def work(site: SiteEnd, plane: PlaneEnd, **options: bool) -> tuple[Agent, list[tuple[str, str, int, int]]]:
    plane.network.shut()
    app = Starlette(routes=Plane(plane.store).routes(), exception_handlers=HANDLERS)
    plane.network = watching = Watching(app, **options)
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    for run in RUNS:
        for _ in range(4):
            site.advance(run)
    push_all(site)
    return agent, [sent for sent in watching.sent if sent[0] == "events"]


def test_events_travel_as_gzip_and_arrive(site: SiteEnd, plane: PlaneEnd) -> None:
    _agent, sent = work(site, plane)
    assert {encoding for _, encoding, _, _ in sent} == {"gzip"}
    assert sum(size for *_, size, _ in sent) * 3 < sum(meant for *_, meant in sent)
    assert same(site, plane)


def test_a_plane_that_does_not_say_that_it_reads_gzip_gets_none(site: SiteEnd, plane: PlaneEnd) -> None:
    _agent, sent = work(site, plane, old=True)
    assert {encoding for _, encoding, _, _ in sent} == {""}
    assert same(site, plane)


@pytest.fixture
def post(site: SiteEnd, plane: PlaneEnd) -> Iterator[Any]:
    """Sends bytes to the plane's endpoint for events, as the site."""
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    session = agent.session
    assert session is not None
    inside = InProcess(Starlette(routes=Plane(plane.store).routes(), exception_handlers=HANDLERS))

    def send(content: bytes, encoding: str = "gzip", **headers: str) -> tuple[int, dict[str, Any]]:
        named = {"authorization": f"Bearer {plane.token}", "content-encoding": encoding, **headers}
        url = f"http://127.0.0.1/sync/v1/sessions/{session.fence}/events"
        response = whole(inside.handle_request(httpx2.Request("POST", url, headers=named, content=content)))
        return response.status_code, json.loads(response.read())

    yield send
    inside.close()


def test_a_bomb_is_refused_before_it_takes_room(post: Any) -> None:
    bomb = gzip.compress(b" " * (128 * 1_048_576))
    assert len(bomb) < MAX_BODY
    post(b"{}", "")  # what is imported at the first request is no part of it
    tracemalloc.start()
    status, problem = post(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (status, problem["code"]) == (413, "body-too-large")
    assert str(MAX_BODY) in problem["detail"]
    assert peak < 4 * MAX_BODY, f"{peak} bytes for a body of {MAX_BODY}"


@pytest.mark.parametrize(
    ("content", "encoding", "status", "code"),
    [
        (b"not gzip", "gzip", 400, "bad-gzip"),
        (gzip.compress(b"{}")[:-4], "gzip", 400, "bad-gzip"),
        (gzip.compress(b"{}") + b"more", "gzip", 400, "bad-gzip"),
        (gzip.compress(b"{}") * 2, "gzip", 400, "bad-gzip"),
        (b"{}", "br", 415, "unknown-encoding"),
        (b"{}", "gzip, gzip", 415, "unknown-encoding"),
        (gzip.compress(b"{}"), "GZIP", 422, "invalid"),  # it was read, and is no batch
    ],
    ids=["other", "cut", "more", "twice", "brotli", "packed twice", "no batch"],
)
def test_what_cannot_be_unpacked_is_refused_in_words(
    post: Any, content: bytes, encoding: str, status: int, code: str
) -> None:
    got, problem = post(content, encoding)
    assert (got, problem["code"]) == (status, code)
    assert problem["detail"]


def test_strangers_are_refused_before_their_body_is_looked_at(post: Any) -> None:
    assert post(b"not gzip", authorization="Bearer hub_site_unknown")[0] == 401


@pytest.mark.parametrize("content", [gzip.compress(b" " * (MAX_ANSWER + 1)), b"not gzip"], ids=["bomb", "other"])
def test_an_answer_of_the_plane_is_bounded_too(content: bytes) -> None:
    answer = httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=httpx2.ByteStream(content))
    with pytest.raises(TransientError, match="answer"):
        HttpWire("http://127.0.0.1", "token-token", httpx2.MockTransport(lambda _: answer)).send("GET", "/digest")


@pytest.mark.parametrize(
    ("header", "good"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("", False),
        ("identity", False),
        ("gzipped", False),
    ],
)
def test_answers_are_gzip_where_the_request_says_so(header: str, good: bool) -> None:
    assert packing.accepted(header) is good


def test_more_sessions_than_may_begin_get_their_turn_one_after_the_other() -> None:
    now = [0.0]
    gate = Gate(10, clock=lambda: now[0])
    waits = []
    for _ in range(50):
        try:
            gate.begin()
        except packing.HubError as error:
            waits.append(error.fields["retry_after"])
    assert len(waits) == 40, "ten are let in at once"
    assert waits == sorted(waits)
    assert [waits.count(second) for second in range(2, 6)] == [10, 10, 10, 10]
    for wait in waits:  # all come back when they were told to
        now[0] = wait
        gate.begin()
