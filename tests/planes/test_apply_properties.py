"""Whatever valid document is applied: the second time there is nothing to do, and an export is that document again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hub.cli.apply import _carry_out, _planned
from hub.cli.export import exported
from hub.client import Client
from hub.client.inprocess import InProcess
from hub.plugins import load_plugins
from hub.runtime.definitions.document import known_sections, load
from hub.runtime.definitions.exporting import dump, written
from hub.runtime.definitions.planning import checked
from hub.runtime.definitions.schema import document_schema
from hub.runtime.definitions.section import RESOLVED
from hub.settings import load_settings
from hub.store import open_store
from hub.web.app import build_app
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FLOWS = (
    "from hub import flow\n\n@flow(retries=1)\ndef hello(name: str = 'x', events: list = []) -> str:\n    return name\n"
)
NAMES = ("a", "b-2", "c.d")
name = st.sampled_from(NAMES)
words = st.text("abc :#'\"{}[]&*-0159eE.yYnNoOfF\n~é", max_size=12).filter(lambda text: "\x00" not in text)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6).map(lambda x: round(x, 3)) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words.filter(bool), inner, max_size=3),
    max_leaves=6,
)
secret = st.sampled_from([{"env": "A_SECRET"}, {"env": "B_SECRET"}, {"file": "secret.txt"}])
switch = st.none() | st.booleans()


def some(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


def named(strategy: Any, *, most: int = 2) -> Any:
    return st.dictionaries(name, strategy, max_size=most)


schedules = st.lists(
    st.one_of(
        some(
            {"cron": st.sampled_from(["0 2 * * *", "*/5 * * * 1"])}, timezone=st.sampled_from(["UTC", "Europe/Berlin"])
        ),
        some({"interval": st.sampled_from([1, 60, 2.5, 86_400])}, active=switch, parameters=st.just({"name": "y"})),
    ),
    max_size=3,
)
control = st.sampled_from(
    [
        {},
        {"debounce": {"period": "5s", "key": "params.name"}, "concurrency": {"limit": 2, "key": "params.name"}},
        {"batch": {"max_size": 2, "timeout": 30, "if": "params.name != 'x'"}},
        {"rate_limit": {"limit": 1, "period": "1h"}, "singleton": {"mode": "cancel"}},
        {"cancel_on": [{"event": "order.*", "match": "order_id", "timeout": "2d"}], "idempotency": "params.name"},
    ]
)
deployment = some(
    {"entrypoint": st.just("flows.py:hello")}, description=words, parameters=st.just({"name": "Ada"}),
    schedules=schedules,
    tags=st.lists(st.sampled_from(["x", "y"]), max_size=3), flow_control=control, paused=switch,
    timeout_s=st.sampled_from([10, "5m", 0.5]), crash_retries=st.integers(0, 5),
    retry_policy=st.sampled_from([{"retries": 3}, {"retries": 1, "delays": [1, 2.5], "jitter": 0.5}]),
)  # fmt: skip
source = some(
    {"preset": st.sampled_from(["github", "stripe", "token"])}, secret=secret, keep_s=st.sampled_from([3600, "14d"]),
    redact=st.sampled_from([[], ["json:a.b", "field:password"]]), mode=st.sampled_from(["observe", "enforce"]),
    allow_from=st.just(["192.0.2.0/24"]), rate_per_minute=st.integers(1, 9), max_body=st.integers(1, 10**6),
    answer=st.sampled_from(["preset", {"status": 200, "text": "{}"}, {"text": "ok", "type": "text/plain"}]),
    schemas=st.sampled_from([{}, {"push": {"type": "object"}, "*": {"required": ["id"]}}]), enabled=switch,
    paused=switch,
    schema_mode=st.sampled_from(["off", "observe", "enforce"]), alert_after_s=st.sampled_from([0, "2h", "off"]),
    order_by=st.sampled_from(["", "body.repository.id"]), keep_bytes=st.integers(0, 10**9),
    verify=st.sampled_from(["preset", "none"]),
)  # fmt: skip
event = some(
    {}, types=st.sampled_from([[], ["github.*", "a.b"]]), match=st.sampled_from(["", "body.ref == 'x'"]),
    cool_down=st.integers(0, 100),
) | some(
    {"within": st.sampled_from([10, 12.5]), "types": st.just(["a.b"])}, threshold=st.integers(1, 9),
    after=st.just(["c.d"]), posture=st.sampled_from(["reactive", "proactive"]),
    for_each=st.just(["run_id"]),
)  # fmt: skip
parts = st.lists(some({}, types=st.just(["a.b"]), match=st.just("true")), min_size=2, max_size=3)
trigger = event | some(
    {"kind": st.sampled_from(["compound", "sequence"]), "triggers": parts}, within=st.just(60),
    for_each=st.just(["run_id"])
)  # fmt: skip
action = st.sampled_from(
    [
        {"run_deployment": "a", "parameters": {"name": "=body.ref", "n": [1, {"x": "=event.id"}]}},
        {"run_deployment": "a", "flow_control": {"debounce": {"period": "5s"}}, "retry": {"times": 2}},
        {"cancel_run": "=event.run_id"}, {"pause_deployment": "a"}, {"resume_schedule": "=event.subject"},
        {"alert": "late ${event.type}", "severity": "warning"},
        {"send_webhook": "a", "type": "x.y", "data": {"a": 1.5}},
        {"alert": "x", "body": "text", "retry": {}},
    ]
)  # fmt: skip
document = st.fixed_dictionaries(
    {
        # What automations refer to.
        "deployments": named(deployment).map(lambda made: {"a": {"entrypoint": "flows.py:hello"}, **made}),
        "endpoints": named(
            some({"url": st.just({"env": "URL"})}, sign=st.sampled_from(["v1", "v1a", "both"]), enabled=switch)
        ).map(lambda made: {"a": {"url": {"env": "URL"}}, **made}),
        "sources": named(source),
        "automations": named(
            some({"actions": st.lists(action, min_size=1, max_size=3)}, trigger=trigger, description=words,
                 enabled=switch)
        ).map(lambda made: {name.replace(".", "-"): one for name, one in made.items()}),
    },
    optional={
        "secrets": st.dictionaries(st.sampled_from(["A", "b_2"]), some({"value": secret}), max_size=2),
        "plugins": st.fixed_dictionaries({}, optional={"github": some({}, enabled=switch), "sql": st.just({})}),
        "connections": named(
            st.one_of(
                st.just({"kind": "files", "fields": {"path": "/tmp"}}),
                st.just({"kind": "http", "fields": {"url": "https://example.com", "token": {"env": "A_SECRET"}}}),
            )
        ),
        "variables": named(some({"value": plain}, tags=st.lists(st.sampled_from(["x", "y"]), max_size=3))),
        "limits": named(
            some({"slots": st.integers(0, 9)})
            | some({"rate": st.integers(1, 9)}, period_s=st.sampled_from([0.5, "1m"]))
        ),
        "queues": st.dictionaries(
            st.sampled_from(["q1", "q2"]),
            some({}, priority=st.integers(0, 9), slots=st.none() | st.just(3), paused=switch)
        ),
        "channels": named(some({"address": st.just({"env": "CHANNEL"})}, enabled=switch), most=1).map(
            lambda made: {name.replace(".", "-"): one for name, one in made.items()}
        ),
    },
)  # fmt: skip


@contextmanager
def hub(url: str) -> Iterator[Client]:
    """An empty hub, spoken to as by the command line."""
    made = load_settings()
    store = open_store(url)
    store.migrate()
    plugins = load_plugins(made, process="cli", store=store)
    try:
        with Client(
            "http://127.0.0.1", transport=InProcess(build_app(made, store, plugins=plugins)), tries=1
        ) as client:
            yield client
    finally:
        store.close()


def apply(client: Client, text: str, folder: Path) -> list[str]:
    """What was done, as the command does it."""
    file = folder / "hub.yaml"
    file.write_text(text, encoding="utf-8")
    loaded = load(file)
    items = _planned(client, loaded, prune=False, adopt=False)
    todo = [item for item in items if item["action"] in ("create", "change")]
    _carry_out(client, loaded, todo, adopt=False, quiet=True)
    assert [item for item in todo if item["status"] != "done"] == []
    return [f"{item['action']} {item['section']}.{item['name']}" for item in todo]


def normal(folder: Path) -> dict[str, Any]:
    """The document of the folder as an export would write it, worked out without a hub."""
    loaded, known = load(folder / "hub.yaml"), known_sections()
    found, faults = checked(known, loaded.wire, RESOLVED)
    assert faults == []
    made: dict[str, Any] = {}
    for section in known.values():
        for one in sorted(key for kind, key in found if kind == section.name):
            definition = found[section.name, one]
            values = section.complete(definition, None)
            values.pop("secret_fields", None)
            refs = {place: secret.reference() for place, secret in section.secrets(definition).items()}
            item = {"name": one, "values": values, "secrets": sorted(refs), "refs": refs, "made": True}
            made.setdefault(section.name, {})[one] = written(section, item, folder)
    return made


SCHEMA: dict[str, Any] = {}


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(document)
def test_any_document_is_applied_once_and_exported_as_it_is(given_document: Any) -> None:
    _check(given_document, "sqlite://")


@pytest.mark.long
@pytest.mark.timeout(1200)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(document)
def test_many_documents(given_document: Any) -> None:
    _check(given_document, "sqlite://")


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("documents")
    (path / "flows.py").write_text(FLOWS)
    (path / "secret.txt").write_text("from-a-file-of-the-tests\n")
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {
            "A_SECRET": "the-first-of-the-tests", "B_SECRET": "the-second-of-the-tests",
            "URL": "https://example.com/hook", "CHANNEL": "slack+https://hooks.example.com/a/b",
        }.items():  # fmt: skip
            patch.setenv(variable, value)
        SCHEMA["folder"] = path
        SCHEMA["schema"] = jsonschema.Draft202012Validator(document_schema(known_sections()))
        yield path


def _check(given_document: Any, url: str) -> None:
    folder: Path = SCHEMA["folder"]
    text = dump(given_document)
    SCHEMA["schema"].validate(given_document)
    with hub(url) as client:
        made = apply(client, text, folder)
        assert {line.split()[1] for line in made} >= {"deployments.a", "endpoints.a"}
        expected = normal(folder)
        assert apply(client, text, folder) == []
        found = exported(client, folder, project=None)
        assert json.loads(json.dumps(found)) == json.loads(json.dumps(expected))
        SCHEMA["schema"].validate(found)
        assert apply(client, dump(found), folder) == []
    if len(json.dumps(found)) % 4 == 0:  # a hub costs as much as the rest
        with hub("sqlite://") as other:
            apply(other, dump(found), folder)
            assert exported(other, folder, project=None) == found


def test_on_postgresql_too(postgres_url: str) -> None:
    _check(
        {
            "deployments": {
                "a": {"entrypoint": "flows.py:hello", "schedules": [{"interval": 60}, {"cron": "0 2 * * *"}]}
            },
            "endpoints": {"a": {"url": {"env": "URL"}, "sign": "both", "enabled": False}},
            "sources": {"a": {"preset": "github", "schemas": {"push": {}}, "schema_mode": "off", "paused": True}},
            "automations": {
                "a": {"actions": [{"run_deployment": "a"}], "trigger": {"types": ["a.b"]}, "enabled": False}
            },
            "secrets": {"A": {"value": {"env": "A_SECRET"}}},
            "plugins": {"github": {"enabled": False}},
            "variables": {"a": {"value": {"x": [1, None, "0.1e5"]}}},
            "connections": {"a": {"kind": "http", "fields": {"url": "https://e.com", "token": {"env": "A_SECRET"}}}},
            "channels": {"a": {"address": {"env": "CHANNEL"}, "enabled": False}},
            "limits": {"a": {"rate": 3, "period_s": "2m"}},
            "queues": {"q1": {"slots": 3, "paused": True}},
        },
        postgres_url,
    )


def test_texts_are_written_so_that_they_are_texts_when_they_are_read(folder: Path) -> None:
    from hub.runtime.definitions.reading import read

    texts = [
        "09",
        "1e5",
        "0.1e5",
        "on",
        "null",
        "~",
        "",
        "1_000",
        "2026-01-31",
        "12:30",
        "true",
        "+1",
        ".5",
        "=x",
        "a: b",
    ]
    assert read(dump({"v": texts})).value == {"v": texts}
    assert not re.search(r"[&*]id", dump({"a": texts, "b": texts}))
