"""The one rule for addresses that somebody else has chosen: each address that must not be reached, one by one."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hub.outbound.rule import Blocked, Rule, networks, own_addresses

RULE = Rule(schemes=frozenset({"http", "https"}))


def blocked(url: str, rule: Rule = RULE, resolved: list[str] | None = None) -> str:
    """Where the rule stops this URL; the resolver understands whatever the system's would."""
    with pytest.raises(Blocked) as caught:
        _judge(url, rule, resolved)
    return str(caught.value)


def _judge(url: str, rule: Rule, resolved: list[str] | None) -> None:
    target = rule.target(url)
    rule.check(resolved if resolved is not None else [target.host])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.1",
        "http://0",
        "http://2130706433",
        "http://0x7f.1",
        "http://0x7f000001",
        "http://017700000001",
        "http://0177.0.0.1",
        "http://127.000.000.001",
        "http://127.0.0.1",
        "http://127.0.0.1.",
        "http://10.0.0.1",
        "http://172.16.0.1",
        "http://192.168.1.1",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1",
        "http://100.100.100.200",
        "http://168.63.129.16",
        "http://192.0.0.192",
        "http://192.88.99.1",
        "http://224.0.0.1",
        "http://255.255.255.255",
        "http://0.0.0.0",
        "http://[::]",
        "http://[::1]",
        "http://[::ffff:127.0.0.1]",
        "http://[::ffff:a9fe:a9fe]",
        "http://[::127.0.0.1]",
        "http://[64:ff9b::a9fe:a9fe]",
        "http://[64:ff9b:1::a9fe:a9fe]",
        "http://[2002:a9fe:a9fe::]",
        "http://[2002:7f00:1::]",
        "http://[2001:0:7f00:1::]",
        "http://[ff02::1]",
        "http://[5f00::1]",
        "http://[fe80::1]",
        "http://[fe80::1%25eth0]",
        "http://[fd00:ec2::254]",
        "http://[fc00::1]",
        "http://localhost.",
        "http://example.com.",
        "https://example.com@127.0.0.1",
        "https://user:password@example.com",
        "http://example.com#@127.0.0.1/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com /",
        "http://exa\tmple.com/",
        "http://example.com/\r\nHost: evil",
        "http://127\u30020\u30020\u30021",
        "http://\uff11\uff12\uff17.0.0.1",
        "http://\u2460\u2461\u2466.0.0.1",
        "http://exa%6dple.com",
        "http://-example.com",
        "http://exam\u200bple..com",
        "file:///etc/passwd",
        "gopher://example.com/_",
        "ftp://example.com/",
        "//example.com/",
        "example.com",
        "",
        "http://",
        "http://example.com:25",
        "http://example.com:22/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://example.com:443:80/",
        "http://example.com:8o/",
        "http://[::1/",
        "http://example.com/\u00e9",
        "https://example.com/" + "a" * 2_048,
    ],
)
def test_it_is_refused(url: str) -> None:
    assert blocked(url)


@pytest.mark.parametrize(
    ("url", "host", "path", "authority"),
    [
        ("https://example.com", "example.com", "/", "example.com"),
        ("https://Example.COM/a/b?c=%20", "example.com", "/a/b?c=%20", "example.com"),
        ("https://example.com:443/", "example.com", "/", "example.com"),
        ("https://example.com:8443/", "example.com", "/", "example.com:8443"),
        ("http://1.1.1.1/", "1.1.1.1", "/", "1.1.1.1"),
        ("https://[2606:4700:4700::1111]:8443/x", "2606:4700:4700::1111", "/x", "[2606:4700:4700::1111]:8443"),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example", "/", "xn--bcher-kva.example"),
        ("https://b\u00fccher\u3002example/", "xn--bcher-kva.example", "/", "xn--bcher-kva.example"),
    ],
)
def test_it_is_taken(url: str, host: str, path: str, authority: str) -> None:
    target = RULE.target(url)
    assert (target.host, target.path, target.authority) == (host, path, authority)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_a_public_address_is_taken(address: str) -> None:
    assert RULE.check([address]) == (ip_address(address),)


@pytest.mark.parametrize(
    "resolved", [["8.8.8.8", "127.0.0.1"], ["8.8.8.8", "::1"], ["8.8.8.8", "64:ff9b::7f00:1"], ["nonsense"], []]
)
def test_every_address_of_a_name_must_be_allowed(resolved: list[str]) -> None:
    assert blocked("https://example.com", resolved=resolved)


def test_localhost_is_refused_for_its_address() -> None:
    assert "127.0.0.1" in blocked("http://localhost", resolved=["127.0.0.1"])


def test_https_alone_is_the_rule_unless_it_says_otherwise() -> None:
    assert "http" in blocked("http://example.com", Rule())


def test_where_only_certain_hosts_count_their_whole_name_must_match() -> None:
    import re

    rule = Rule(ports=frozenset({443}), port_written=False, hosts=re.compile(r"sns\.[a-z0-9-]+\.amazonaws\.com"))
    assert rule.target("https://sns.us-east-1.amazonaws.com/x.pem").host == "sns.us-east-1.amazonaws.com"
    for url in (
        "https://sns.us-east-1.amazonaws.com.evil.tld/x.pem",
        "https://sns.us-east-1.amazonaws.com@evil/x.pem",
        "https://sns.us-east-1.amazonaws.com:443/x.pem",
        "https://sns.us-east-1.amazonaws.com./x.pem",
        "https://x.sns.us-east-1.amazonaws.com/x.pem",
        "https://s3.amazonaws.com/sns.us-east-1.amazonaws.com/x.pem",
    ):
        assert blocked(url, rule)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1"])
def test_allowed_networks_are_reached_although_they_are_private(address: str) -> None:
    rule = Rule(networks=networks(["10.0.0.0/8", "fd00::/8"]))
    assert rule.check([address])
    assert blocked("https://example.com", resolved=[address])


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254", "::"]
)
def test_metadata_is_never_reached_whatever_is_allowed(address: str) -> None:
    assert blocked("https://example.com", Rule(networks=networks(["0.0.0.0/0", "::/0"])), [address])


def test_the_hub_does_not_call_itself_unless_its_network_is_allowed() -> None:
    mine = ip_address("8.8.4.4")
    assert blocked("https://example.com", Rule(own=frozenset({mine})), ["8.8.4.4"])
    assert Rule(own=frozenset({mine}), networks=networks(["8.8.4.4/32"])).check(["8.8.4.4"])


def test_the_own_addresses_are_addresses() -> None:
    assert all(address.version in (4, 6) for address in own_addresses())
