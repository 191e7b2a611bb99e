from __future__ import annotations

import pytest
from hub.errors import UsageError
from hub.webhooks.allowing import MAX_NETWORKS, allows, networks
from hub.webhooks.keeping import sender

OURS = networks(["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("address", "fits"),
    [
        ("192.0.2.1", True), ("192.0.3.1", False), ("198.51.100.7", True), ("198.51.100.8", False),
        ("2001:db8::1", True), ("2001:db9::1", False), ("::ffff:192.0.2.9", True), ("fe80::1%eth0", False),
        ("", False), ("192.0.2.1, 10.0.0.1", False), ("unknown", False), ("0192.0.2.1", False),
    ],
)  # fmt: skip
def test_an_address_is_in_a_network_or_is_not_allowed(address: str, fits: bool) -> None:
    assert allows(OURS, address) is fits


@pytest.mark.parametrize("text", ["", "192.0.2.1/24", "300.1.1.1", "example.com", "192.0.2.0/33", "x" * 500])
def test_what_is_no_network_is_refused_with_words(text: str) -> None:
    with pytest.raises(UsageError, match="is no address or network") as told:
        networks([text])
    assert len(told.value.detail) < 300
    assert "192.0.2.0/24" in told.value.hint


def test_there_may_be_only_so_many() -> None:
    with pytest.raises(UsageError, match=f"at most {MAX_NETWORKS}"):
        networks(["192.0.2.1"] * (MAX_NETWORKS + 1))


def test_only_what_a_trusted_proxy_forwards_is_believed() -> None:
    proxies, forged = networks(["10.0.0.0/8"]), ["192.0.2.66, 192.0.2.1"]
    assert sender(("10.1.1.1", 1), forged, 1, proxies) == "192.0.2.1"
    assert sender(("10.1.1.1", 1), forged, 2, proxies) == "192.0.2.66"
    assert sender(("203.0.113.5", 1), forged, 1, proxies) == "203.0.113.5", "a stranger is the sender itself"
    assert sender(("203.0.113.5", 1), forged, 0, proxies) == "203.0.113.5"
    assert sender(("10.1.1.1", 1), [], 1, proxies) == "", "unknown, and nowhere allowed"
    assert sender(None, forged, 1, proxies) == ""
    assert sender(("10.1.1.1", 1), forged, 1) == "192.0.2.1"
