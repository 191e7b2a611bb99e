"""What must never be in a tracked file, and what the scripts may be."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from .repository import ROOT, short, tracked

TEXT = {".py", ".md", ".toml", ".sh", ".html", ".css", ".js", ".yaml", ".yml", ".json", ".mako", ".txt", ".cfg", ""}
FORBIDDEN = {
    "a registry's host": re.compile(
        "|".join(("files.python" + "hosted", "pypi" + r"\.org", "registry.npm" + "js", "index-" + "url"))
    ),
    "a machine's path": re.compile("|".join(("/work" + "/", "/home" + r"/\w+/", "/root" + "/"))),
    "a private key": re.compile("BEGIN (RSA |EC |OPENSSH |)PRIVATE" + " KEY"),
    "a live credential": re.compile(
        r"\b(ghp_[A-Za-z0-9]{36}|AKIA[0-9A-Z]{16}|xox[bp]-[0-9]{10,}-\w+|sk_live_[0-9a-zA-Z]{20,})\b"
    ),
    "unfinished business": re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"),
}
ALLOWED: dict[str, set[str]] = {
    # file: the findings it may hold, where they are data of a test
}
SCRIPTS = ("install", "demo", "test", "check", "containers", "fix", "bench", "soak")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds(what: str) -> None:
    found = []
    for path in tracked():
        if path.suffix not in TEXT or what in ALLOWED.get(short(path), ()):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if FORBIDDEN[what].search(line):
                found.append(f"{short(path)}:{number}")
    assert found == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_short_posix_shell(name: str) -> None:
    script = ROOT / "scripts" / name
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n# "), "plain sh, and a comment that says what it is for"
    assert "set -eu" in text
    assert text.count("\n") <= 40
    assert script.stat().st_mode & 0o111, "executable"
    assert not re.search(r"\[\[|\bfunction\b|<<<|\$'|\blocal\b|\bsource\b|pipefail", text), "bash is not everywhere"
    shell = shutil.which("dash") or "/bin/sh"
    assert subprocess.run([shell, "-n", str(script)], timeout=20).returncode == 0


def test_there_is_one_script_a_job() -> None:
    assert sorted(path.name for path in (ROOT / "scripts").iterdir()) == sorted(SCRIPTS)


def test_continuous_integration_calls_the_same_scripts() -> None:
    text = (ROOT / ".ci/run").read_text(encoding="utf-8")
    for name in ("scripts/check", "scripts/test"):
        assert f"\n{name}" in text
    assert "HUB_TEST_REQUIRE_SERVICES=1" in text
    assert subprocess.run(["bash", "-n", str(ROOT / ".ci/run")], timeout=20).returncode == 0


def test_the_command_of_the_project_needs_no_make_and_no_node() -> None:
    names = {path.name for path in tracked()}
    assert names.isdisjoint({"Makefile", "package.json", "tox.ini", "noxfile.py"})
