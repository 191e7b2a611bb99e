from __future__ import annotations

import pytest
from hub.web.api.fields import NoBody, NoQuery
from hub.web.api.op import Api, Call
from starlette.testclient import TestClient
from tests.unit.web.kit import small_app


def app_with_paths() -> Api:
    api = Api()

    @api.op("POST", "/api/v1/things", scope="x")
    def make(call: Call[NoBody, NoQuery]) -> None:
        """Make."""

    @api.op("GET", "/api/v1/things", scope="x")
    def read(call: Call[NoBody, NoQuery]) -> None:
        """Read."""

    @api.op("POST", "/in/{token}", scope=None, tag="door")
    def door(call: Call[NoBody, NoQuery]) -> None:
        """Take a webhook."""

    return api


client = TestClient(
    small_app(app_with_paths(), public_url="https://hub.example.org", hosts=["hub.lan"]),
    base_url="http://localhost:4300",
)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:4300", "127.0.0.1:4300", "[::1]:4300", "HUB.example.org", "hub.lan:80"]
)
def test_it_answers_to_its_own_names(host: str) -> None:
    assert client.get("/api/v1/things", headers={"host": host}).status_code == 204


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
        "[::1",
        "10.0.0.1",
        "hub.lan@evil",
    ],
)
def test_a_wrong_host_answers_421(host: str) -> None:
    answer = client.get("/api/v1/things", headers={"host": host})
    assert answer.status_code == 421
    assert "HUB_PUBLIC_URL" in answer.json()["hint"]


def test_the_door_answers_to_any_host_and_any_origin() -> None:
    headers = {"host": "evil.example", "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    assert client.post("/in/abc", headers=headers).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"origin": "http://localhost:99999999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost:4300"},
    ],
)
def test_a_write_from_another_site_is_refused(headers: dict[str, str]) -> None:
    answer = client.post("/api/v1/things", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["code"] == "cross-site"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://localhost:4300"},
        {"origin": "http://localhost:4300", "sec-fetch-site": "same-origin"},
        {"origin": "https://hub.example.org", "host": "hub.example.org"},
        {"sec-fetch-site": "none"},
    ],
)
def test_a_write_from_the_hub_itself_or_a_program_passes(headers: dict[str, str]) -> None:
    assert client.post("/api/v1/things", headers=headers).status_code == 204


def test_reading_across_sites_is_left_to_the_browser() -> None:
    assert client.get("/api/v1/things", headers={"origin": "https://evil.example"}).status_code == 204


@pytest.mark.parametrize("path", ["/api/v1/things", "/nothing", "/in/abc"])
def test_every_answer_carries_the_security_headers(path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "max-age" in headers["strict-transport-security"]
