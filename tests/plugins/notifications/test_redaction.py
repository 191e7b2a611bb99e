"""No text that leaves a sender holds any part of an address, for every scheme and form that Apprise has."""

from __future__ import annotations

import io
import json
import logging
import random
import re
import string
from dataclasses import dataclass
from functools import partial

from hub.channels import Outgoing
from hub.errors import PermanentError, TransientError, UsageError

from hub_notifications import forms
from hub_notifications.address import check_address, check_allowed, make_label, redact
from hub_notifications.reach import Reach, make_reach
from hub_notifications.send import send

from .services import Reply, World

_SAMPLES = {"host": "chat.example.com", "port": "8443", "hostname": "chat.example.com"}
_NEVER_SENT = frozenset({"syslog"})
_NOT_BY_HTTP = ("aprs", "mqtt", "amqp", "irc", "rsyslog", "mail", "deltachat")
"""Schemes whose services are not reached by HTTP: only saving them is tried."""


def secret(pattern: str, kind: str, rng: random.Random) -> str:
    """A value no text has by chance, that fits the pattern if one of some shapes does."""
    letters, digits, hexes = string.ascii_letters, string.digits, "0123456789abcdef"
    shapes = [
        *("".join(rng.choices(letters + digits, k=length)) for length in (24, 32, 40, 9, 64, 20, 22, 43, 12)),
        *("".join(rng.choices(hexes, k=length)) for length in (32, 40, 64, 24)),
        *("1" + "".join(rng.choices(digits, k=length)) for length in (9, 10, 11, 14, 5)),
        *("".join(rng.choices(letters, k=length)) for length in (16, 8)),
        "xoxb-" + "-".join("".join(rng.choices(digits, k=10)) for _ in range(3)),
        "AC" + "".join(rng.choices(hexes, k=32)),
        f"{rng.randrange(10**8, 10**9)}:{''.join(rng.choices(letters, k=35))}",
        "-".join("".join(rng.choices(hexes, k=n)) for n in (8, 4, 4, 4, 12)),
    ]  # fmt: skip
    if kind in ("int", "float"):
        return shapes[13]
    fits = [one for one in shapes if not pattern or re.match(pattern, one, re.IGNORECASE)]
    return fits[0] if fits else shapes[0]


def filled(scheme: forms.Scheme, template: str, rng: random.Random) -> tuple[str, list[str]]:
    """An address of a template, and the secrets in it."""
    known = {one.name: one for one in scheme.fields}
    given: dict[str, str] = {}
    secrets: list[str] = []
    for name in re.findall(r"\{(\w+)\}", template):
        if name == "schema":
            continue
        field = known[name]
        if name in _SAMPLES:
            given[name] = _SAMPLES[name]
        elif field.values:
            given[name] = field.values[0]
        else:
            given[name] = secret(field.pattern, field.type, rng)
            secrets.append(given[name])
    return forms.build_address(scheme, given), secrets


@dataclass
class Spoken:
    """What was said of one address."""

    where: str
    secrets: list[str]
    text: str = ""
    answered: bool = False


def spoken(world: World, reach: Reach, scheme: forms.Scheme, template: str, rng: random.Random) -> Spoken | None:
    """Save it, be refused, and send to a server that refuses and repeats what it was sent."""
    try:
        address, secrets = filled(scheme, template, rng)
    except UsageError:
        return None
    texts = [make_label(address, "ops"), repr(Outgoing(address, "title", "text"))]
    for check in (check_address, partial(check_allowed, reach=make_reach("fixed"))):
        try:
            check(address)
        except UsageError as error:
            texts.append(f"{error.detail} {error.hint}")
    world.replies = [Reply(401, json.dumps({"error": f"you sent {' '.join(secrets)}"}).encode())]
    if not scheme.scheme.startswith(_NOT_BY_HTTP):
        try:
            send(Outgoing(address, "title", "text"), reach)
        except (TransientError, PermanentError) as error:
            texts.append(repr(error))
    told = " ".join(texts)
    return Spoken(f"{scheme.scheme} {template}", secrets, told, "answered 401" in told)


def test_no_text_that_leaves_holds_any_part_of_an_address(world: World) -> None:
    rng, reach = random.Random(20261127), world.reach("open", timeout_s=5)
    root, heard = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(heard)
    root.addHandler(handler)
    world.all_names = True
    try:
        found = [
            spoken(world, reach, scheme, template, rng)
            for scheme in forms.list_schemes() if scheme.scheme not in _NEVER_SENT for template in scheme.templates[-2:]
        ]  # fmt: skip
    finally:
        root.removeHandler(handler)
        world.all_names = False
    built = [one for one in found if one is not None]
    leaks = [(one.where, part) for one in built for part in one.secrets if part.lower() in one.text.lower()]
    assert leaks == []
    logged = heard.getvalue()
    assert not [one.where for one in built if any(part in logged for part in one.secrets)]
    assert len(built) > 250
    assert sum(one.answered for one in built) > 120, "most of them reached the server, and it answered"


def test_redaction_knows_the_spellings_of_a_secret() -> None:
    address = "jsons://us%40er:p%2Fss%20word@example.com/s3cr%2Bet?+X-Key=h%26dden"
    said = "p/ss word p%2Fss%20word s3cr+et S3CR+ET h&dden dXNAZXI6cC9zcyB3b3Jk us@er X-Key"
    assert redact(said, address).replace("*", "").split() == []
