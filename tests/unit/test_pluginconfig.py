"""A plugin's configuration: whence each value comes, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub.pluginconfig import fields, resolve
from pydantic import BaseModel, Field, SecretStr, field_validator


class Config(BaseModel):
    url: str = Field(description="Where it is.")
    token: SecretStr | None = None
    rooms: list[str] = ["lobby"]
    tries: int = Field(3, ge=1)

    @field_validator("token")
    @classmethod
    def _is_long(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < 8:
            raise ValueError(f"{token.get_secret_value()} is too short")
        return token


URL = "HUB_PLUGIN__MY_CHAT__URL"


@pytest.mark.parametrize(
    ("environ", "stored", "wanted", "sources"),
    [
        ({URL: "u"}, {}, {"url": "u", "rooms": ["lobby"], "tries": 3}, {"url": "environment", "tries": "default"}),
        ({URL: "u"}, {"url": "v", "tries": "5"}, {"url": "v", "tries": 5}, {"url": "set", "tries": "set"}),
        ({URL: "u", "HUB_PLUGIN__MY_CHAT__ROOMS": '["a", "b"]'}, {}, {"rooms": ["a", "b"]}, {"rooms": "environment"}),
        ({URL: "u", "HUB_PLUGIN__MY_CHAT2__TRIES": "9", "HOME": "x"}, {}, {"tries": 3}, {"tries": "default"}),
    ],
)
def test_what_was_set_wins_over_the_environment_and_that_over_the_default(
    environ: dict[str, str], stored: dict[str, Any], wanted: dict[str, Any], sources: dict[str, str]
) -> None:
    found = resolve("my-chat", Config, stored, environ)
    assert found.problem == ""
    assert found.config is not None
    assert found.config.model_dump(include=set(wanted)) == wanted
    assert {name: found.sources[name] for name in sources} == sources


@pytest.mark.parametrize(
    ("environ", "stored", "said"),
    [
        ({}, {}, ["url (neither HUB_PLUGIN__MY_CHAT__URL nor `hub plugins configure my-chat` gives it)"]),
        ({URL: "u", "HUB_PLUGIN__MY_CHAT__TRIES": "0"}, {}, ["tries (from HUB_PLUGIN__MY_CHAT__TRIES): ", "greater"]),
        ({URL: "u"}, {"tries": "many"}, ["tries (set with `hub plugins configure my-chat`): ", "integer"]),
        ({URL: "u", "HUB_PLUGIN__MY_CHAT__ROOMS": "[1"}, {}, ["rooms (from HUB_PLUGIN__MY_CHAT__ROOMS): ", "list"]),
        ({URL: "u", "HUB_PLUGIN__MY_CHAT__ULR": "x"}, {}, ["HUB_PLUGIN__MY_CHAT__ULR", "did you mean url?"]),
        (
            {URL: "u", "HUB_PLUGIN__MY_CHAT__TOKEN_FILE": "/nowhere"},
            {},
            ["_FILE names a file that cannot be read"],
        ),
        ({URL: "u", "HUB_PLUGIN__MY_CHAT__TOKEN": "hunter2"}, {}, ["token (from HUB", "*** is too short"]),
    ],
)
def test_what_is_wrong_names_field_and_source_and_no_secret(
    environ: dict[str, str], stored: dict[str, Any], said: list[str]
) -> None:
    found = resolve("my-chat", Config, stored, environ)
    assert found.config is None
    assert all(part in found.problem for part in said), found.problem
    assert "hunter2" not in f"{found.problem} {found!r}"


def test_a_secret_may_stand_in_a_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2hunter2\n")
    environ = {URL: "u", "HUB_PLUGIN__MY_CHAT__TOKEN_FILE": str(tmp_path / "token")}
    found = resolve("my-chat", Config, {}, environ)
    assert isinstance(found.config, Config)
    assert found.config.token is not None
    assert found.config.token.get_secret_value() == "hunter2hunter2"
    shown = {field["name"]: field for field in fields("my-chat", Config, found)}
    assert (shown["token"]["value"], shown["token"]["given"], shown["token"]["source"]) == (None, True, "environment")
    assert (shown["url"]["value"], shown["url"]["variable"]) == ("u", URL)
    assert "hunter2" not in f"{shown} {found!r}"
