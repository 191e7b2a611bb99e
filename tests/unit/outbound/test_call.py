"""Requests under the rule, against a real HTTPS server with a CA of its own."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hub.errors import PermanentError, TransientError
from hub.outbound.call import Limits, resolve
from hub.outbound.rule import Blocked, Rule, networks
from tests.keyhost import PUBLIC, KeyHost, Reply, serve

URL = "https://keys.example.com/keys"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyHost]:
    with serve(tmp_path_factory.mktemp("keyhost")) as host:
        yield host


@pytest.fixture
def host(running: KeyHost) -> KeyHost:
    running.replies = {"keys.example.com/keys": Reply(b"the keys", headers={"X-Name": "value"})}
    running.addresses, running.down = {}, False
    for list_ in (running.seen, running.dialled, running.resolved):
        list_.clear()
    return running


def test_a_request_goes_to_the_address_that_was_checked_and_asks_for_the_name(host: KeyHost) -> None:
    answer = host.caller().call("GET", URL)
    assert (answer.status, answer.body, answer.headers["x-name"], answer.cut) == (200, b"the keys", "value", False)
    assert host.dialled == [(PUBLIC, 443)]
    assert host.seen == [("GET", "keys.example.com/keys")]


def test_a_body_is_sent(host: KeyHost) -> None:
    host.replies["keys.example.com/keys"] = lambda body: Reply(body[::-1])
    assert host.caller().call("POST", URL, headers={"Content-Type": "text/plain"}, body=b"abc").body == b"cba"


def test_a_name_that_changes_after_the_check_is_not_asked_again(host: KeyHost) -> None:
    host.addresses["keys.example.com"] = [[PUBLIC], ["127.0.0.1"]]
    assert host.caller().call("GET", URL).status == 200
    assert host.resolved == ["keys.example.com"]
    assert host.dialled == [(PUBLIC, 443)]
    with pytest.raises(Blocked, match=r"127\.0\.0\.1"):
        host.caller().call("GET", URL)
    assert len(host.dialled) == 1


def test_a_name_with_public_and_private_addresses_is_refused_before_anything_is_dialled(host: KeyHost) -> None:
    host.addresses["keys.example.com"] = [[PUBLIC, "10.0.0.1"]]
    with pytest.raises(Blocked):
        host.caller().call("GET", URL)
    assert host.dialled == []


def test_a_redirect_is_an_answer_and_never_followed(host: KeyHost) -> None:
    host.replies["keys.example.com/keys"] = Reply(status=302, headers={"Location": "http://169.254.169.254/"})
    answer = host.caller().call("GET", URL)
    assert (answer.status, answer.headers["location"]) == (302, "http://169.254.169.254/")
    assert len(host.dialled) == 1


def test_the_certificate_must_be_of_the_name(host: KeyHost) -> None:
    host.addresses["other.example.com"] = [[PUBLIC]]
    with pytest.raises(PermanentError, match="certificate"):
        host.caller().call("GET", "https://other.example.com/")


def test_a_certificate_of_nobody_that_is_trusted_is_refused(host: KeyHost) -> None:
    from hub.outbound.call import system_trust

    with pytest.raises(PermanentError, match="certificate"):
        replace(host.caller(), trust=system_trust).call("GET", URL)


def test_a_long_body_is_cut(host: KeyHost) -> None:
    host.replies["keys.example.com/keys"] = Reply(b"x" * 70_000)
    answer = host.caller().call("GET", URL)
    assert (len(answer.body), answer.cut) == (65_536, True)


def test_a_body_that_ends_early_is_no_answer(host: KeyHost) -> None:
    host.replies["keys.example.com/keys"] = Reply(b"half", promised=8)
    with pytest.raises(TransientError, match="no whole answer"):
        host.caller().call("GET", URL)


@pytest.mark.parametrize("reply", [Reply(b"x" * 1_000, drip=0.05), Reply(b"x", wait=2.0)], ids=["drip", "wait"])
def test_an_answer_that_takes_too_long_is_given_up(host: KeyHost, reply: Reply) -> None:
    host.replies["keys.example.com/keys"] = reply
    began = time.monotonic()
    with pytest.raises(TransientError, match="within"):
        host.caller(limits=Limits(1, 0.5)).call("GET", URL)
    assert time.monotonic() - began < 1.8


def test_a_host_that_is_away_or_unknown_is_a_transient_error(host: KeyHost) -> None:
    with pytest.raises(TransientError, match="resolved"):
        host.caller().call("GET", "https://nobody.example.com/")
    host.down = True
    with pytest.raises(TransientError, match="refused"):
        host.caller().call("GET", URL)


def test_a_resolver_that_hangs_is_given_up(host: KeyHost) -> None:
    def hang(_name: str, _port: int) -> list[str]:
        time.sleep(0.6)
        return [PUBLIC]

    with pytest.raises(TransientError, match="not resolved within"):
        replace(host.caller(limits=Limits(0.1, 1)), resolve=hang).call("GET", URL)


def test_what_the_rule_forbids_is_not_even_resolved(host: KeyHost) -> None:
    with pytest.raises(Blocked):
        host.caller(Rule(hosts=re.compile(r"www\.example\.com"))).call("GET", URL)
    assert host.resolved == []


def test_an_allowed_private_network_is_reached(host: KeyHost) -> None:
    host.addresses["keys.example.com"] = [["10.1.2.3"]]
    assert host.caller(Rule(networks=networks(["10.0.0.0/8"]))).call("GET", URL).status == 200
    assert host.dialled == [("10.1.2.3", 443)]


def test_proxies_of_the_environment_are_not_used(host: KeyHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert host.caller().call("GET", URL).status == 200


def test_the_systems_resolver_gives_addresses() -> None:
    assert resolve("127.0.0.1", 443) == ["127.0.0.1"]
