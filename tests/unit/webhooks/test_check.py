from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hub.errors import UsageError
from hub.webhooks.check import verify_file
from hub.webhooks.presets import Presets

from .examples import mac, make, timed

PRESETS = Presets([make(), timed().model_copy(update={"id": "timed"})])
BODY = '{"type":"push","id":"d-1"}'


def stored(tmp_path: Path, **document: Any) -> Path:
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"method": "POST", "url": None, **document}), "utf-8")
    return path


def check(provider: str, path: Path, **more: Any) -> tuple[Any, int]:
    return verify_file(provider, more.pop("secret", "top secret"), path, presets=PRESETS, **more)


def test_a_valid_request_prints_its_type_and_id_and_exits_0(tmp_path: Path) -> None:
    path = stored(tmp_path, headers={"x-sig": "sha256=" + mac(BODY.encode())}, body=BODY)
    answer, status = check("example", path)
    assert status == 0
    assert (answer["valid"], answer["reason"]) == (True, None)
    assert (answer["event_type"], answer["delivery_id"]) == ("push", "d-1")
    assert "no window" in answer["note"]


def test_a_wrong_secret_and_a_request_that_nobody_signed_are_told_apart(tmp_path: Path) -> None:
    signed = stored(tmp_path, headers={"x-sig": "sha256=" + mac(BODY.encode())}, body=BODY)
    assert "the secret here is not the one at the provider" in check("example", signed, secret="another")[0]["advice"]
    assert "advice" not in check("example", signed)[0]
    assert "The sender did not sign" in check("example", stored(tmp_path, headers={}, body=BODY))[0]["advice"]


def test_a_forged_request_says_why_and_exits_1(tmp_path: Path) -> None:
    path = stored(tmp_path, headers=[["X-Sig", "sha256=00"]], body="\x00 not json")
    answer, status = check("example", path)
    assert status == 1
    assert not answer["valid"]
    assert "does not match" in answer["reason"]


def test_without_now_the_answer_says_that_the_window_was_not_checked(tmp_path: Path) -> None:
    header = f"t=1700000000,v1={mac(b'1700000000.' + BODY.encode())}"
    encoded = base64.b64encode(BODY.encode()).decode()
    path = stored(tmp_path, headers={"X-Sig": header}, body_base64=encoded)
    answer, status = check("timed", path)
    assert status == 0
    assert not answer["timestamp_checked"]
    assert "--now" in answer["note"]
    assert check("timed", path, now=1_700_000_300)[1] == 0
    assert check("timed", path, now=1_700_000_301)[1] == 1
    assert check("timed", path, now=1_700_000_301, tolerance=400)[1] == 0
    assert check("timed", path, secret="")[1] == 1


def test_usage_mistakes_are_usage_errors(tmp_path: Path) -> None:
    good = stored(tmp_path, body=BODY)
    for provider, path, more, why in (
        ("exampel", good, {}, "there is no preset"),
        ("example", tmp_path / "missing.json", {}, "cannot be read"),
        ("example", good, {"options": {"a": "b"}}, "no option"),
        ("example", good, {"tolerance": -1}, "tolerance"),
    ):
        with pytest.raises(UsageError, match=why) as refused:
            check(provider, path, **more)
        assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"headers": 1}',
        '{"headers": [1]}',
        '{"body": 1}',
        '{"body_base64": "!"}',
        '{"url": 1}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_request_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        check("example", path)
