"""The files of docs/hub-yaml.md do what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from hub.plugins import load_plugins
from hub.runtime.definitions.reading import read
from hub.runtime.definitions.registry import sections
from hub.settings import load_settings
from tests.architecture.repository import ROOT, code_blocks
from tests.unit.cli.conftest import Shell
from tests.unit.web.walking import OWN_PLUGINS

PAGE = ROOT / "docs/hub-yaml.md"
SCHEMA = ROOT / "docs/hub.schema.json"
VALUES = {
    "GITHUB_WEBHOOK_SECRET": "a-secret-of-the-tests",
    "STRIPE_WEBHOOK_SECRET": "whsec_of_the_tests",
    "PARTNER_URL": "https://example.com/hooks",
    "OPS_CHANNEL": "slack+https://hooks.example.com/a/b",
}


def blocks(info: str) -> list[str]:
    return [text for _, found, text in code_blocks(PAGE) if found == info]


def test_every_file_of_the_page_applies_and_the_plan_is_the_one_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = Shell(capsys, monkeypatch)
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    Path("flows.py").write_text(blocks("python flows.py")[0])
    files = blocks("yaml apply")
    assert len(files) >= 3
    for number, text in enumerate(files):
        Path("hub.yaml").write_text(text)
        if number == 0:
            assert hub("apply", "--dry-run") in blocks("console")[0]
        hub("apply")
        assert hub("apply").endswith("Nothing to do.\n")


def test_the_page_names_every_section_and_every_setting() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|$", text, re.MULTILINE))
    known = sections(load_plugins(load_settings({"plugins": "only:notifications"}), process="cli").hooks)
    assert list(rows) == list(known), "one row a section, in the order in which they are applied"
    for name, section in known.items():
        settings = set(re.findall(r"`(\w+)`", rows[name]))
        written = {info.alias or field for field, info in section.model.model_fields.items()}
        assert settings == written - {"facts"}, name


def test_the_schema_beside_the_page_is_the_one_that_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUB_PLUGINS", OWN_PLUGINS)
    told = "docs/hub.schema.json: replace it by what `hub apply --schema` prints"
    assert Shell(capsys, monkeypatch)("apply", "--schema") == SCHEMA.read_text(encoding="utf-8"), told


@pytest.mark.parametrize("text", blocks("yaml apply"))
def test_an_editor_takes_the_files_of_the_page(text: str) -> None:
    jsonschema.validate(read(text).value, json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [
        "deploymnts: {}",
        "deployments: {a: {}}",
        "deployments: {a: {entrypoint: f.py, quue: x}}",
        "deployments: {a: {entrypoint: f.py, facts: {}}}",
        "sources: {a: {preset: github, secret: in-clear}}",
        "sources: {a: {preset: github, secret: {env: A, file: B}}}",
        "sources: {a: {preset: github, secret: {value: A}}}",
        "sources: {a: {preset: github, keep_s: soon}}",
        "sources: {'a b': {preset: github}}",
        "automations: {a: {actions: []}}",
        "deployments: {a: {entrypoint: f.py, flow_control: {debounce: {period: 5x}}}}",
    ],
)
def test_an_editor_marks_what_the_command_refuses(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read(text).value, json.loads(SCHEMA.read_text(encoding="utf-8")))
