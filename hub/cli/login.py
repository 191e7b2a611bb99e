"""`hub login` and `hub logout`: a terminal that somebody lets in on the dashboard (RFC 8628)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from cyclopts import Parameter

from hub import profiles
from hub.cli import output
from hub.errors import HubError, NotFoundError, PermissionError_, UnavailableError, UsageError
from hub.settings import is_loopback

CLIENT = {"client_id": "hub-cli"}
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
TIMEOUT = 20.0
AWAY_FOR = 60.0
"""Seconds for which a hub that does not answer is asked again."""
Profile = Annotated[str | None, Parameter(help="Name of the profile; none: the host.")]
Scopes = Annotated[tuple[str, ...], Parameter(help="A scope such as runs:read; repeatable; none: all of yours.")]
Plain = Annotated[bool, Parameter(negative=(), help="Without TLS, although whoever is between reads the token.")]


def login(
    url: Annotated[str, Parameter(help="Address of the hub.")],
    *,
    profile: Profile = None,
    scope: Annotated[
        tuple[str, ...], Parameter(help="A scope such as runs:read; repeatable; none: all of yours.")
    ] = (),
    ca: Annotated[Path | None, Parameter(help="Certificate (PEM) of who signed the hub's.")] = None,
    plain_http: Plain = False,
) -> None:
    """Sign in at a hub: open the link that is shown, anywhere, and let this terminal in. Commands talk to it then."""
    from hub.cli.profiles import home_of

    url = checked_url(url, plain_http=plain_http)
    name = profiles.check_name(profile or urlsplit(url).hostname or "")
    with _Hub(url, ca) as hub:
        token = "" if hub.who("") else _let_in(hub, scope)
        me = hub.who(token)
    values = {"api_url": url, "api_key": token, "api_ca": str(ca.absolute()) if ca else ""}
    with profiles.changing(home_of()) as found:
        found.known[name] = {key: value for key, value in values.items() if value}
        found.active = name
    who = f"Signed in as {me['name']}." if me and token else "This hub needs no login."
    output.say(f"{who} Commands talk to {url} now (profile {name}); `hub profiles use local` to this machine's own.")


def logout(
    profile: Annotated[str | None, Parameter(help="Name of the profile; none: the one in use.")] = None,
    *,
    forget: Annotated[bool, Parameter(negative=(), help="Only forget the token here; the hub is not asked.")] = False,
) -> None:
    """Make the token of a profile worthless, and remove the profile."""
    from hub.cli.profiles import home_of

    home = home_of()
    found = profiles.read(home)
    name = profile or found.active
    if name in ("", profiles.LOCAL):
        raise UsageError("you are signed in nowhere: commands talk to this machine's own hub")
    values = profiles.find(found, name)
    if values.get("api_key") and not forget:
        with _Hub(values["api_url"], Path(values["api_ca"]) if "api_ca" in values else None) as hub:
            hub.post("/oauth/revoke", {**CLIENT, "token": values["api_key"]})
    with profiles.changing(home) as changed:
        changed.known.pop(name, None)
        if changed.active == name:
            changed.active = profiles.LOCAL
    output.say(f"Signed out of {values['api_url']}. Commands talk to this machine's own hub now.")


def checked_url(url: str, *, plain_http: bool = True) -> str:
    """The address without a slash at the end. Raises UsageError for what is none, or must not carry a token."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise UsageError(f"{url[:200]!r} is no address of a hub", hint="Write https://hub.example.org.")
    if parts.scheme == "http" and not plain_http and not is_loopback(parts.hostname):
        hint = "Use https, or say --plain-http."
        raise UsageError(f"{parts.hostname} would be spoken to without TLS: the token could be read", hint=hint)
    return parts.geturl().rstrip("/")


def _let_in(hub: _Hub, scope: tuple[str, ...]) -> str:
    asked = hub.post("/oauth/device", {**CLIENT, **({"scope": " ".join(scope)} if scope else {})})
    output.error_console().print("Open this link, where you are signed in, and let this terminal in:")
    output.error_console().print(f"  {asked['verification_uri_complete']}", markup=False, soft_wrap=True)
    output.error_console().print(f"It must show the code [bold]{asked['user_code']}[/]. Ctrl-C gives up.")
    pace, until = float(asked["interval"]), time.monotonic() + float(asked["expires_in"])
    while time.monotonic() < until:
        time.sleep(pace)
        answer = hub.ask(asked["device_code"])
        if "access_token" in answer:
            return str(answer["access_token"])
        pace += 5.0 if answer["error"] == "slow_down" else 0.0
    raise UnavailableError("nobody let this terminal in in time", hint="Try again: hub login.", code="expired")


class _Hub:
    """A hub that is signed in at."""

    def __init__(self, url: str, ca: Path | None) -> None:
        import httpx2

        from hub.client import trusting

        self._url = url
        self._http = httpx2.Client(base_url=url, timeout=TIMEOUT, verify=trusting(ca), follow_redirects=False)

    def __enter__(self) -> _Hub:
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.close()

    def who(self, token: str) -> dict[str, Any] | None:
        """Who that token makes us, or nobody; None where a login is needed."""
        answer = self._send("GET", "/api/v1/me", headers={"authorization": f"Bearer {token}"} if token else {})
        return None if answer.status_code == 401 else self._read(answer)

    def post(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        """Send a form. Raises HubError for a refusal."""
        return self._read(self._send("POST", path, data=form))

    def ask(self, device_code: str) -> dict[str, Any]:
        """Ask whether somebody has let us in: a token, or why there is none yet. Raises HubError for a no."""
        form = {**CLIENT, "grant_type": GRANT, "device_code": device_code}
        answer = self._send("POST", "/oauth/token", data=form)
        found: dict[str, Any] = answer.json() if answer.status_code in (200, 400) else self._read(answer)
        if found.get("error") == "access_denied":
            raise PermissionError_("somebody said no: this terminal may not come in")
        if found.get("error", "slow_down") not in ("authorization_pending", "slow_down"):
            raise UnavailableError(f"the hub refuses: {found['error']}", hint="Try again: hub login.", code="refused")
        return found

    def _send(self, method: str, path: str, **more: Any) -> Any:
        import httpx2

        until = time.monotonic() + AWAY_FOR * (path == "/oauth/token")
        while True:
            try:
                return self._http.request(method, path, **more)
            except httpx2.HTTPError as error:
                if time.monotonic() >= until:
                    hint = "Is the address right, and a hub running there?"
                    detail = f"{self._url} cannot be reached ({error})"
                    raise UnavailableError(detail, hint=hint, code="unreachable") from None
                time.sleep(1.0)

    def _read(self, answer: Any) -> dict[str, Any]:
        if answer.status_code == 404:
            raise NotFoundError(f"at {self._url} is no hub that can be signed in at", hint="Is the address right?")
        try:
            found = answer.json()
        except ValueError:
            found = {}
        if answer.status_code >= 400:
            detail = found.get("detail") or found.get("error_description") or found.get("error") or answer.status_code
            raise HubError(f"{self._url} refuses: {str(detail)[:300]}", hint=str(found.get("hint", ""))[:300])
        return found if isinstance(found, dict) else {}
