"""What containers are made and started from: real commands and settings, and no more rights than needed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub.cli.app import build
from hub.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSES = sorted(DOCKER.glob("*/compose.yaml"))
OURS = [(file.parent.name, name) for file in COMPOSES for name in yaml.safe_load(file.read_text())["services"]]


def services(which: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / which / "compose.yaml").read_text())["services"]
    return found


def plain(word: str) -> str:
    """A word with the default of each variable in its place."""
    return re.sub(r"\$\{\w+:[-?]([^}]*)\}", r"\1", word)


@pytest.mark.parametrize(("which", "name"), OURS)
def test_a_service_is_watched_and_has_no_more_rights_than_it_needs(which: str, name: str) -> None:
    service = services(which)[name]
    shell = "entrypoint" in service
    assert service["restart"] == "unless-stopped"
    image = service["image"]
    if image == "hubspoke":
        assert (service["cap_drop"], service["read_only"], service["init"]) == (["ALL"], True, True)
        assert service["security_opt"] == ["no-new-privileges:true"]
        known = {f"HUB_{field.upper()}" for field in Settings.model_fields}
        assert set(service.get("environment", ())) <= known | {"SSL_CERT_FILE"}
        words = service["command"] if not shell else service["command"][0].partition(";")[0].split()[1:]
        build().parse_args([plain(word) for word in words], exit_on_error=False, print_error=False)
        # The image's own check asks a web process.
        assert "healthcheck" in service or words[0] in ("up", "web")
    else:
        assert re.fullmatch(r"[a-z]+:\d+", image), "of a known line of versions"
        assert "healthcheck" in service
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), "what is open to the world is for its owner to say"


@pytest.mark.parametrize("file", COMPOSES, ids=lambda file: file.parent.name)
def test_an_example_names_every_variable_and_holds_no_secret(file: Path) -> None:
    asked = set(re.findall(r"\$\{(\w+):", file.read_text()))
    example = (file.parent / ".env.example").read_text()
    told = dict(re.findall(r"^#? ?(\w+)=(.*)$", example, re.M))
    assert asked <= set(told)
    assert not any(value for name, value in told.items() if "PASSWORD" in name)


def test_the_image_runs_as_a_user_of_its_own_and_says_whether_it_is_well() -> None:
    lines = (DOCKER / "Dockerfile").read_text()
    last = lines.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!root|0)\w+", last, re.M)
    assert re.search(r"^HEALTHCHECK ", last, re.M)


def test_what_the_wheel_is_made_of_reaches_the_build() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {Path(path).parts[0] for path in [*wheel["packages"], *wheel["force-include"]]}
    needed |= {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    let_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert needed == let_in
