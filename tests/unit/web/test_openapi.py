"""The committed description is the one that the application gives; a change of the API is a change of this file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hub.runtime.scopes import ROLES
from hub.settings import Settings
from hub.store import Store
from hub.web.api.fields import NoBody, NoQuery
from hub.web.api.op import Api
from hub.web.api.openapi import document, table
from hub.web.app import build_app
from starlette.responses import Response

ROOT = Path(__file__).parents[3]
OWN = "only:hybrid,notifications,webhooks,dashboard"


@pytest.fixture
def api(memory: Store) -> Api:
    """Every operation, those of the hub's own plugins included."""
    api: Api = build_app(Settings(plugins=OWN), memory).state.api
    return api


def test_the_committed_description_is_current(api: Api) -> None:
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    found = document(api)
    assert sorted(committed["paths"]) == sorted(found["paths"]), "run: hub openapi > docs/openapi.json"
    assert committed == json.loads(json.dumps(found)), "run: hub openapi > docs/openapi.json"


def test_every_operation_says_what_it_takes_and_gives(api: Api) -> None:
    for op in api.ops:
        hints = get_type_hints(op.handler)
        body, query = get_args(next(iter(hints.values())))
        assert body is (op.body or NoBody), op.name
        assert query is (op.query or NoQuery), op.name
        gives = hints["return"]
        assert gives in (type(None), Response) or op.out is not None, op.name
        assert (op.handler.__doc__ or "").strip(), op.name


def test_operation_ids_are_unique(api: Api) -> None:
    names = [op.name for op in api.ops]
    assert len(names) == len(set(names))


def test_every_scope_can_be_held_by_somebody_less_than_the_owner(api: Api) -> None:
    held = frozenset().union(*(scopes for role, scopes in ROLES.items() if role != "owner"))
    assert {op.scope for op in api.ops if op.scope} - held <= {"owner:write"}


def test_whoever_may_write_may_read() -> None:
    for scopes in ROLES.values():
        writes = {scope.removesuffix(":write") for scope in scopes if scope.endswith(":write")}
        assert {f"{noun}:read" for noun in writes} <= scopes


def test_the_manual_lists_every_operation_with_its_scope(api: Api) -> None:
    manual = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert table(document(api)) in manual, "put into docs/api.md what `hub openapi --markdown` prints"


def names_of(found: Any) -> set[str]:
    return set(re.findall(r"#/components/(\w+/[\w.]+)", json.dumps(found)))


def test_every_reference_leads_somewhere(api: Api) -> None:
    found = document(api)
    parts = found["components"]
    assert names_of(found) <= {f"{kind}/{name}" for kind in ("schemas", "responses") for name in parts[kind]}
