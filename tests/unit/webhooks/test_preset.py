from __future__ import annotations

from typing import Any

import pytest
from hub.errors import NotFoundError, UsageError
from hub.plugins import PresetText
from hub.webhooks.preset import load_preset
from hub.webhooks.presets import Presets
from hub.webhooks.template import parse_template

from .examples import make

OPTIONS: Any = {"header": {"description": "The header.", "default": "X-Sig", "pattern": "[A-Za-z-]{1,20}"}}


def verify_part(**more: Any) -> dict[str, Any]:
    return {"kind": "hmac", "signature": {"from": "header:X-Sig"}, "signed": "{body}", **more}


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"colour": "red"}, "colour"),
        ({"id": "Not An Id"}, "id"),
        ({"docs": "http://plain.example"}, "docs"),
        ({"verify": []}, "verify"),
        ({"verify": {"kind": "rot13"}}, "rot13"),
        ({"verify": verify_part(signed="{bdoy}")}, "unknown placeholder {bdoy}"),
        ({"verify": verify_part(signed="{body")}, "stray brace"),
        ({"verify": verify_part(signed="{header:X-Only}")}, "does not hold {body}"),
        ({"verify": verify_part(signed="{timestamp}.{body}")}, "`timestamp` does not say"),
        ({"verify": verify_part(signed="{id}.{body}")}, "`id` does not say"),
        ({"verify": verify_part(timestamp={"from": "header:X-Time"})}, "protect nothing"),
        ({"verify": verify_part(hash="md5")}, "hash"),
        ({"verify": verify_part(signature={"from": "cookie:x"})}, "is not a reference"),
        ({"verify": [verify_part(), verify_part()]}, "2 verify entries apply"),
        ({"verify": verify_part(hash="{option:hash}")}, "does not declare"),
        ({"handshake": [{"when": {"method": "GET"}, "respond": {}}]}, "recognised"),
        ({"handshake": [{"when": {"json": {"a": 1}}, "respond": {"status": 500}}]}, "status"),
        ({"dedupe": {"window": "forever"}}, "window"),
        ({"dedupe": {"keys": ["moon-phase"]}}, "keys"),
        ({"event": {"type": "jsn:type"}}, "is not a reference"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_preset_is_refused_with_the_place_and_the_reason(parts: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as refused:
        make(**parts)
    assert why in refused.value.detail
    assert "example.yaml" in refused.value.detail


@pytest.mark.parametrize(
    "text", ["", "- a", "a: [", "id: a\nid: b", "x" * 300_000, "!!python/object/apply:os.system [ls]", "\x00"]
)
def test_text_that_is_no_preset_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"preset p\.yaml"):
        load_preset(text, "p.yaml")


def test_a_window_shorter_than_twice_the_tolerance_is_refused() -> None:
    timestamp = {"from": "header:X-Time", "tolerance": 300}
    with pytest.raises(UsageError, match="twice the tolerance"):
        make(verify=verify_part(signed="{timestamp}{body}", timestamp=timestamp), dedupe={"window": "500s"})


def test_options_are_put_in_and_checked() -> None:
    preset = make(options=OPTIONS, verify=verify_part(signature={"from": "header:{option:header}"}))
    rules = preset.rules({"header": "X-Other"})
    assert str(rules.verify.signature.source) == "header:X-Other"  # type: ignore[union-attr]
    for given, why in (
        ({"haeder": "X"}, "no option 'haeder'"),
        ({"header": "X\r\nEvil: 1"}, "must match"),
        ({"header": "{body}"}, "must match"),
        ({"unique_body": "maybe"}, "must be one of"),
    ):
        with pytest.raises(UsageError, match=why):
            preset.rules(given)
    with pytest.raises(UsageError) as refused:
        preset.rules({"haeder": "X"})
    assert refused.value.hint == "did you mean header?"


def test_an_option_without_default_must_be_given() -> None:
    needed: Any = {"header": {"description": "The header that carries it."}}
    preset = make(options=needed, verify=verify_part(signature={"from": "header:{option:header}"}))
    with pytest.raises(UsageError, match="needs the option header"):
        preset.rules({})
    assert preset.rules({"header": "X"})


def test_an_option_value_is_never_read_as_a_template_of_options() -> None:
    choices: Any = {"signed": {"description": "What.", "default": "{body}", "choices": ["{body}", "{option:signed}"]}}
    with pytest.raises(UsageError, match="unknown placeholder"):
        make(options=choices, verify=verify_part(signed="{option:signed}")).rules({"signed": "{option:signed}"})


def test_a_template_keeps_bytes_as_they_are() -> None:
    template = parse_template("v0:{timestamp}:{body}")
    from .examples import post

    assert template.build(post(b"\xff\x00{body}"), id=None, timestamp="1") == b"v0:1:\xff\x00{body}"


def test_presets_are_found_by_id_and_a_near_miss_is_named() -> None:
    import yaml

    document = {
        "id": "acme",
        "name": "A",
        "summary": "s",
        "docs": "https://a.example",
        "where": "w",
        "verify": {"kind": "none"},
    }
    text = PresetText("a.yaml", yaml.safe_dump(document))
    presets = Presets.load([text])
    assert presets.get("acme").unverified
    assert presets.find("other") is None
    with pytest.raises(NotFoundError) as missing:
        presets.get("acne")
    assert missing.value.hint == "did you mean acme?"
    with pytest.raises(UsageError, match="two presets are named acme"):
        Presets.load([text, text])


def test_a_draft_says_what_is_unchecked_and_nothing_else_does() -> None:
    assert make(maturity="draft", unchecked="The header's name.").unchecked == "The header's name."
    for wrong in ({"maturity": "draft"}, {"maturity": "beta", "unchecked": "All."}):
        with pytest.raises(UsageError, match="unchecked"):
            make(**wrong)


def test_an_answer_without_content_holds_no_text() -> None:
    assert make(answer={"status": 200, "text": "[accepted]"}).answer.text == "[accepted]"
    with pytest.raises(UsageError, match="204"):
        make(answer={"status": 204, "text": "x"})
