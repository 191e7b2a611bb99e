"""Bad requests 22 to 40, by what their bodies hold, each correctly signed, against the running hub."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
from hub.store import receipts

from .receiver import PUSH, Answer, Receiver, receiving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
XML = {"Content-Type": "application/xml"}
BOMB = gzip.compress(b"0" * 10_000_000, 9)
ENTITY = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><a>&j;</a>"
)
PARTS = b"".join(b'--b\r\nContent-Disposition: form-data; name="%d"\r\n\r\nx\r\n' % number for number in range(10_000))
ESCAPE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="../../etc/cron.d/x"\r\n\r\nx\r\n--b--\r\n'


def multipart(of: str = "b") -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary={of}"}


# name: preset, body, headers, the promised status
TRIES: dict[str, tuple[str, bytes, dict[str, str], int]] = {
    "22 a gzip bomb": ("github", BOMB, {"Content-Encoding": "gzip"}, 415),
    "23 gzip twice": ("github", gzip.compress(BOMB), {"Content-Encoding": "gzip, gzip"}, 415),
    "24 brotli that nobody asked for": ("github", PUSH, {"Content-Encoding": "br"}, 415),
    "25 half a gzip": ("github", gzip.compress(PUSH)[:-9], {"Content-Encoding": "gzip"}, 415),
    "26 UTF-16": ("github", PUSH.decode().encode("utf-16"), {}, 400),
    "27 a byte order mark": ("github", b"\xef\xbb\xbf" + PUSH, {}, 202),
    "28 bytes that are not UTF-8": ("github", b'{"a":"\xff\xfe"}', {}, 400),
    "29 lone surrogates": ("github", b'{"a":"\\ud800","\\udc00":1}', {}, 202),
    "30 NUL in texts and keys": ("github", b'{"a\\u0000":"\\u0000b"}', {}, 202),
    "31 a key twice": ("github", b'{"a":1,"a":2}', {}, 202),
    "32 nested 100,000 deep": ("github", b"[" * 100_000 + b"]" * 100_000, {}, 400),
    "33 ten million keys": ("github", b'{"k":1' + b',"k":1' * 10_000_000 + b"}", {}, 413),
    "33 100,000 keys": ("github", json.dumps(dict.fromkeys(map(str, range(70_000)), 1)).encode(), {}, 400),
    "34 a number beyond a double": ("github", b'{"a":1e400}', {}, 202),
    "34 NaN": ("github", b'{"a":NaN}', {}, 400),
    "34 Infinity": ("github", b'{"a":-Infinity}', {}, 400),
    "34 5,000 digits": ("github", b'{"a":' + b"7" * 5000 + b"}", {}, 202),
    "35 nothing": ("github", b"", {}, 400),
    "36 null": ("github", b"null", {}, 400),
    "36 a text": ("github", b'"x"', {}, 400),
    "36 an empty array": ("github", b"[]", {}, 202),
    "37 a form of a million fields": ("github", b"a=1&" * 1_000_000, FORM, 413),
    "37 a form of 100,000 fields": ("github", b"a=1&" * 100_000, FORM, 400),
    "38 multipart without an end": ("github", PARTS[:1000], multipart(), 400),
    "38 multipart of 10,000 parts": ("github", PARTS, multipart(), 400),
    "38 a path as file name": ("token", ESCAPE, multipart(), 202),
    "38 a boundary that is none": ("token", ESCAPE, multipart("c" * 1000), 202),
    "39 an external entity": ("token", ENTITY, XML, 202),
    "39 a billion laughs": ("token", LAUGHS, XML, 202),
    "39 XML where JSON is due": ("github", LAUGHS, XML, 400),
    "40 no content type": ("github", PUSH, {"Content-Type": ""}, 202),
    "40 a wrong content type": ("github", PUSH, {"Content-Type": "text/html"}, 202),
    "40 a parameter of 30 kB": ("github", PUSH, {"Content-Type": "application/json; x=" + "y" * 30_000}, 202),
    "40 a parameter of 100 kB": ("github", PUSH, {"Content-Type": "application/json; x=" + "y" * 100_000}, 431),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """One for all: what a request does to the next one is part of the test."""
    with receiving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.mark.parametrize("name", TRIES)
def test_it_is_answered_and_the_hub_goes_on(running: Receiver, name: str) -> None:
    preset, body, headers, status = TRIES[name]
    source = running.source(preset)
    before = running.kept()
    answer: Answer = running.send(source, body, headers)
    assert answer.status == status, answer.said[:400]
    new = running.kept()[len(before) :]
    # What was signed is kept with its bytes, also when nobody can read it; what the door did not read is not.
    assert [(row["verdict"], row["body_size"]) for row in new] == {
        202: [("accepted", len(body))], 400: [("rejected", len(body))],
    }.get(status, [])  # fmt: skip
    running.check()


def test_what_was_taken_in_is_kept_byte_for_byte(running: Receiver) -> None:
    for body in (b'{"a\\u0000":"\\u0000b"}', b'{"a":"\\ud800"}', ("\ufeff" + '{"a":1}').encode()):
        assert running.send(running.source("github"), body).status == 202
        with running.store.read() as tx:
            row = (
                tx.conn.execute(receipts.TABLE.select().order_by(receipts.TABLE.c.id.desc()).limit(1)).mappings().one()
            )
        assert bytes(row["body"]) == body
