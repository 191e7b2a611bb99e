"""Signed links: what they say, where they lead, and what is no link."""

from __future__ import annotations

from typing import Any

import pytest
from hub.crypto import Keyring
from hub.runtime import links
from hub.settings import Settings
from hub.types import SECOND, new_id
from hypothesis import given
from hypothesis import strategies as st

KEYS = Keyring((b"k" * 32,))
POINT = "01a219b4-b5c8-7001-bca9-d37952e6b438"


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "http://127.0.0.1:4300"),
        ({"web_port": 8080, "web_host": "0.0.0.0"}, "http://127.0.0.1:8080"),
        ({"web_host": "::1"}, "http://[::1]:4300"),
        ({"web_host": "hub.example.org"}, "http://hub.example.org:4300"),
        ({"web_host": "0.0.0.0", "public_url": "https://hub.example.org/"}, "https://hub.example.org"),
    ],
)
def test_links_begin_with_the_public_address_else_with_the_webs_own(settings: dict[str, Any], address: str) -> None:
    assert links.address(Settings(**settings)) == address


@given(st.integers(0, 2**40))
def test_what_was_signed_is_read_again(seconds: int) -> None:
    link = links.Link(new_id(), seconds * SECOND)
    assert links.read(KEYS, links.sign(KEYS, link)) == link


@given(st.text(max_size=300))
def test_what_was_not_signed_is_no_link(text: str) -> None:
    assert links.read(KEYS, text) is None


@given(st.data())
def test_no_changed_link_is_one(data: st.DataObject) -> None:
    token = links.sign(KEYS, links.Link(POINT, 1_800_000_000 * SECOND))
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii", exclude_characters=token[place]))
    assert links.read(KEYS, token[:place] + other + token[place + 1 :]) is None


def test_what_is_signed_for_something_else_is_no_link() -> None:
    session = KEYS.digest("text", purpose="session")
    assert links.read(KEYS, f"text.{session}") is None
    assert links.read(KEYS, f"text.{KEYS.digest('text', purpose='input-link')}") is None, (
        "signed, and no link all the same"
    )
