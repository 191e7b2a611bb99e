"""`hub login` typed into a real terminal, against a real web process; and TLS between them."""

from __future__ import annotations

import os
import pty
import re
import select
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

PASSWORD = "correct horse battery"
SCREEN = 200


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, home: Path, *words: str) -> None:
        self.primary, secondary = pty.openpty()
        environment = {**os.environ, "HUB_HOME": str(home), "COLUMNS": str(SCREEN), "TERM": "xterm"}
        for name in ("HUB_API_URL", "HUB_API_KEY", "HUB_PROFILE"):
            environment.pop(name, None)
        command = [sys.executable, "-m", "hub.cli", *words]
        self.process = subprocess.Popen(command, stdin=secondary, stdout=secondary, stderr=secondary, env=environment)
        os.close(secondary)
        self.shown = ""

    def until(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Wait for a text on the screen, which may be wrapped."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = re.search(pattern, self.shown)
            if found:
                return found
            if select.select([self.primary], [], [], 0.2)[0]:
                try:
                    data = os.read(self.primary, 65536)
                except OSError:  # the other end is closed: the command has ended
                    data = b""
                self.shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", data.decode(errors="replace"))
                if not data:
                    break
        found = re.search(pattern, self.shown)
        assert found, f"no {pattern!r} in {self.shown!r}"
        return found

    def end(self) -> int:
        """Read to the end; the exit code."""
        code = self.process.wait(timeout=60)
        while select.select([self.primary], [], [], 0.2)[0]:
            try:
                self.shown += os.read(self.primary, 65536).decode(errors="replace")
            except OSError:
                break
        os.close(self.primary)
        return code


Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a web process that needs a login; its address."""
    started = []

    def begin(*words: str, owner: bool = True, until: str = r"is up: (https?://\S+)/ui", **environment: str) -> str:
        given = {**os.environ, "HUB_HOME": str(tmp_path / "server"), "HUB_WEB_LOGIN": "always", **environment}
        run = [sys.executable, "-m", "hub.cli"]
        if owner:
            subprocess.run([*run, "owner", "create", "ann"], input=PASSWORD, env=given, text=True, check=True)
        command = [*run, "web", "--port", "0", *words]
        process = subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(until, line)
            if found:
                return found[1]
        raise AssertionError("it did not start")

    yield begin
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


def let_in(url: str, link: str, verify: Any = True) -> None:
    """Sign in as the owner in a browser, and let the terminal in."""
    with httpx2.Client(base_url=url, headers={"origin": url}, follow_redirects=True, verify=verify) as browser:
        page = browser.get(link.removeprefix(url))
        form = {"csrf": _hidden(page.text, "csrf"), "next": _hidden(page.text, "next"), "name": "ann"}
        page = browser.post("/ui/login", data={**form, "password": PASSWORD})
        assert "Let this terminal in?" in page.text, page.text
        form = {"csrf": _hidden(page.text, "csrf"), "user_code": _hidden(page.text, "user_code")}
        assert "The terminal is in" in browser.post("/ui/device", data={**form, "answer": "allow"}).text


def _hidden(html: str, name: str) -> str:
    return html.partition(f'name="{name}" value="')[2].partition('"')[0].replace("&amp;", "&")


def typed(home: Path, *words: str, code: int = 0) -> str:
    terminal = Terminal(home, *words)
    given = terminal.end()
    assert given == code, terminal.shown
    return terminal.shown


def test_a_terminal_signs_in_acts_and_signs_out(serve: Serve, tmp_path: Path) -> None:
    url, home = serve(), tmp_path / "client"
    terminal = Terminal(home, "login", url, "--profile", "team")
    link = terminal.until(r"(http://\S+/ui/device\?user_code=[A-Z-]+)")[1]
    assert link.rsplit("=", 1)[1] in terminal.until(r"show the code ([A-Z]{4}-[A-Z]{4})")[1]
    let_in(url, link)
    terminal.until("Signed in as ann")
    assert terminal.end() == 0

    file = home / "profiles.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    token = re.search(r"hub_login_[\w-]+", file.read_text())
    assert token
    assert "ann" in typed(home, "users", "ls")
    assert token[0] not in typed(home, "profiles", "ls", "--json")
    typed(home, "profiles", "use", "local")
    assert "No accounts yet" in typed(home, "users", "ls")
    typed(home, "profiles", "use", "team")
    file.chmod(0o644)
    assert "chmod 600" in typed(home, "users", "ls", code=2)
    file.chmod(0o600)
    typed(home, "logout")
    assert not re.search(r"hub_login_", file.read_text())
    answer = httpx2.get(f"{url}/api/v1/me", headers={"authorization": f"Bearer {token[0]}"})
    assert answer.status_code == 401
    assert "signed in nowhere" in typed(home, "logout", code=2)


def test_a_terminal_signs_in_over_tls_with_a_certificate_of_our_own(serve: Serve, tmp_path: Path) -> None:
    folder, home = tmp_path / "tls", tmp_path / "client"
    typed(home, "tls", "create", "--folder", str(folder))
    url = serve("--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem"))
    assert url.startswith("https://127.0.0.1")
    assert "CERTIFICATE_VERIFY_FAILED" in typed(home, "login", url, code=75)
    terminal = Terminal(home, "login", url, "--ca", str(folder / "ca.pem"))
    link = terminal.until(r"(https://\S+/ui/device\?user_code=[A-Z-]+)")[1]
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    let_in(url, link, context)
    terminal.until("Signed in as ann")
    assert terminal.end() == 0
    assert "ann" in typed(home, "users", "ls")
    # Commands of the hub's own machine go through its socket, which needs no certificate.
    assert "ann" in typed(tmp_path / "server", "users", "ls")
    with httpx2.Client(verify=context) as client:
        assert "max-age" in client.get(f"{url}/healthz").headers["strict-transport-security"]


def test_a_token_is_not_sent_without_tls_to_another_machine(tmp_path: Path) -> None:
    assert "without TLS" in typed(tmp_path, "login", "http://hub.example.org", code=2)
    assert "no address of a hub" in typed(tmp_path, "login", "ftp://hub.example.org", code=2)


@pytest.mark.long
def test_a_hub_that_needs_no_login_makes_a_profile_without_a_token(serve: Serve, tmp_path: Path) -> None:
    url = serve(HUB_WEB_LOGIN="auto")
    assert "needs no login" in typed(tmp_path / "client", "login", url, "--profile", "near")
    assert "ann" in typed(tmp_path / "client", "users", "ls")


def test_a_hub_that_others_reach_and_that_nobody_owns_prints_a_link_for_its_first_owner(serve: Serve) -> None:
    open_to_all = {"HUB_WEB_HOST": "0.0.0.0", "HUB_WEB_LOGIN": "auto"}
    with pytest.raises(AssertionError, match="did not start"):
        serve(owner=False, **open_to_all)
    link = serve(owner=False, until=r"(http://\S+/ui/invitations/\S+)", HUB_WEB_PLAIN_HTTP="true", **open_to_all)
    url = link.partition("/ui/")[0]
    with httpx2.Client(headers={"origin": url}, follow_redirects=True) as browser:
        assert browser.get(f"{url}/api/v1/me").status_code == 401
        form = {"csrf": _hidden(browser.get(link).text, "csrf"), "name": "ann", "password": PASSWORD}
        assert browser.post(link, data={**form, "again": PASSWORD}).status_code == 200
        assert browser.get(f"{url}/api/v1/me").json()["scopes"] == ["*"]
    with httpx2.Client() as other:
        assert other.get(link).status_code == 404
