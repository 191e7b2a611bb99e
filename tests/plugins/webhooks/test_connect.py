"""Atlassian Connect: tokens over method, path and query, below the base URL of an app."""

from __future__ import annotations

from typing import Any

import pytest
from hub.webhooks.request import WebhookRequest

from hub_plugins.webhooks.tokens import canonical_request

from . import second_jose as second
from .keyed import URL, Bench

BODY = b'{"webhookEvent":"jira:issue_updated"}'
SECRET = "a secret of at least 32 characters"


def connect(bench: Bench, path: str, *pairs: tuple[str, str], key: str = SECRET, **more: Any) -> str:
    said = {"iss": "client-key", "iat": bench.now, "exp": bench.now + 180, "qsh": second.qsh("POST", path, list(pairs))}
    return second.token({**said, **more}, key.encode(), "HS256")


def test_connect_signs_method_path_and_query(bench: Bench) -> None:
    text = connect(bench, "/in/token", ("user", "a b~c"), ("list", "2"), ("list", "1"))
    url = f"{URL}?list=2&user=a%20b~c&list=1"
    assert bench.judge("atlassian-connect", BODY, {"Authorization": f"JWT {text}"}, secret=SECRET, url=url).valid
    assert bench.judge("atlassian-connect", BODY, {}, secret=SECRET, url=f"{url}&jwt={text}").valid
    for other in (URL, f"{url}&more=1", url.replace("token", "other")):
        assert not bench.judge(
            "atlassian-connect", BODY, {"Authorization": f"JWT {text}"}, secret=SECRET, url=other
        ).valid
    assert not bench.judge("atlassian-connect", BODY, {}, secret=SECRET, url=f"{url}&jwt={text}&jwt={text}").valid


PUBLISHED = (
    "http://localhost:2990/path/to/service?zee_last=param&repeated=parameter%201&first=param&repeated=parameter%202"
)
"""https://developer.atlassian.com/cloud/jira/platform/understanding-jwt-for-connect-apps/: its example."""


@pytest.mark.parametrize(
    ("method", "url", "canonical"),
    [
        ("get", PUBLISHED, b"GET&/path/to/service&first=param&repeated=parameter%201,parameter%202&zee_last=param"),
        ("POST", "https://x.example?jwt=abc&a=1", b"POST&/&a=1"),
        ("POST", "https://x.example/a%26b/?c=%2C,*~", b"POST&/a%26b&c=%2C%2C%2A~"),
    ],
)
def test_the_canonical_request_is_made_as_atlassian_describes_it(method: str, url: str, canonical: bytes) -> None:
    assert canonical_request(WebhookRequest(method, url, (), b""), {}) == canonical


def test_connect_knows_the_base_url_and_the_installation(bench: Bench) -> None:
    options = {"base_path": "/in", "client_key": "client-key"}
    good = {"Authorization": f"JWT {connect(bench, '/token')}"}
    assert bench.judge("atlassian-connect", BODY, good, options=options, secret=SECRET).valid
    for text in (
        connect(bench, "/in/token"),
        connect(bench, "/token", iss="another"),
        connect(bench, "/token", exp=bench.now - 61),
        connect(bench, "/token", key="another secret of enough length"),
        connect(bench, "/token", qsh="context-qsh"),
        connect(bench, "/token", qsh=None),
    ):
        headers = {"Authorization": f"JWT {text}"}
        assert not bench.judge("atlassian-connect", BODY, headers, options=options, secret=SECRET).valid
    away = {**options, "base_path": "/elsewhere"}
    assert not bench.judge("atlassian-connect", BODY, good, options=away, secret=SECRET).valid
