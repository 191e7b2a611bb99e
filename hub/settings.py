"""One frozen settings object, read once at start: flag > environment > profile > hub.toml > default.

Environment names are `HUB_` and the field in capitals (`HUB_DATABASE_URL`). A secret may also be given as a file,
`HUB_<NAME>_FILE`. Unknown `HUB_` names are refused with the nearest known one.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tempfile
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from hub import profiles
from hub.errors import SettingError
from hub.version import __version__

_PATH_LIMIT = 70
"""Unix socket paths end at 104 to 108 bytes; a longer home gets a short directory in the temporary folder."""
_TEMPORARY_LIMIT = 40


class Settings(BaseModel):
    """Everything that can be set. Durations are seconds, sizes bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(Path("~/.hub"), description="Where this installation keeps its files.")
    database_url: str = Field("", description="PostgreSQL or SQLite URL; empty: `hub.db` in the home.")
    broker_url: str = Field("", description="Redis or RabbitMQ URL; empty: the embedded broker of `hub up`.")
    api_url: str = Field("", description="The hub that the command line talks to; empty: this machine's store.")
    api_key: SecretStr = Field(SecretStr(""), description="API token sent to `api_url`.")
    api_ca: Path | None = Field(
        None, description="Certificate (PEM) of who signed that of `api_url`, where the system does not know it."
    )
    public_url: str = Field("", description="How the world reaches this hub; webhook addresses are built from it.")
    profile: str = Field("", description="Profile to use, of hub.toml or of `hub profiles`; local: this machine.")
    journal: Literal["on", "off"] = Field("on", description="off: flows called as functions leave no record.")
    encryption_key: SecretStr = Field(SecretStr(""), description="Key for secrets at rest; empty: `key` in the home.")

    web_host: str = Field("127.0.0.1", description="Address the web process listens on.")
    web_port: int = Field(4300, ge=0, le=65535, description="Port the web process listens on; 0: any free one.")
    web_processes: int = Field(
        1, ge=1, le=64, description="Web processes of `hub web`; several use several cores for webhooks and the API."
    )
    web_login: Literal["auto", "always"] = Field(
        "auto", description="auto: no login on loopback while no public URL is set; always: a login everywhere."
    )
    web_hosts: tuple[str, ...] = Field((), description="Further Host names the console answers to.")
    web_trusted_proxies: int = Field(0, ge=0, le=8, description="Reverse proxies in front whose client address counts.")
    web_proxy_networks: tuple[str, ...] = Field(
        (), description="Addresses of those proxies, 10.0.0.0/8; what others say of a client's address is ignored."
    )
    web_tls_cert: Path | None = Field(None, description="Certificate of the web process (PEM, with its chain).")
    web_tls_key: Path | None = Field(None, description="Key (PEM) of `web_tls_cert`.")
    web_plain_http: bool = Field(
        False, description="Serve people without TLS on other addresses than loopback: whoever is between reads along."
    )
    oidc_issuer: str = Field("", description="Identity provider (OpenID Connect) people sign in at; empty: none.")
    oidc_name: str = Field("your organization", description="What the login page calls the identity provider.")
    oidc_client_id: str = Field("", description="What the identity provider calls this hub.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="This hub's secret at the identity provider.")
    oidc_client_auth: Literal["secret", "key", "none"] = Field(
        "secret", description="How this hub proves itself there; key: it signs, see /.well-known/jwks.json."
    )
    oidc_scopes: tuple[str, ...] = Field(("openid", "profile", "email"), description="What it asks to be told.")
    oidc_groups_claim: str = Field("groups", description="The claim that names somebody's groups.")
    oidc_roles: tuple[str, ...] = Field((), description="Roles of groups, `hub-admins=admin`; the highest counts.")
    oidc_default_role: Literal["", "viewer", "operator", "developer", "admin"] = Field(
        "", description="Role of those whose groups have none; empty: they may not come in."
    )

    web_max_body: int = Field(1_048_576, ge=1, description="Largest API request body.")

    door_max_body: int = Field(26_214_400, ge=1, description="Largest webhook body any source may allow.")
    door_read_timeout: float = Field(10.0, gt=0, description="Time a sender has for its whole body.")
    door_queue: int = Field(2048, ge=1, description="Receipts that may wait for the writer before 503.")
    door_rejected_per_minute: int = Field(60, ge=0, description="Rejected requests kept per source and minute.")

    outbound_networks: tuple[str, ...] = Field(
        (), description="Private networks (CIDR) that requests to addresses given by others may reach."
    )

    endpoint_timeout: float = Field(15.0, gt=0, le=60, description="Time an endpoint has to answer a webhook.")
    endpoint_retry_delays: tuple[float, ...] = Field(
        (5, 300, 1800, 7200, 18000, 36000, 36000),
        description="Delays between tries of one webhook to an endpoint; after the last it has failed.",
    )
    endpoint_disable_after: float = Field(
        432000, ge=0, description="An endpoint that took nothing for so long is disabled."
    )

    worker_slots: int = Field(2, ge=1, le=256, description="Runs a worker executes at once.")
    worker_queues: tuple[str, ...] = Field(("default",), description="Work queues a worker serves.")
    worker_name: str = Field("", description="Name of the worker; empty: host and process.")
    worker_cancel_grace: float = Field(10.0, ge=0, description="Time a cancelled run has to end by itself.")
    worker_stop_grace: float = Field(30.0, ge=0, description="Time running flows have when a worker is stopped.")

    worker_runs_per_child: int = Field(500, ge=1, description="Runs after which a worker's child is replaced.")
    worker_memory_per_child: int = Field(
        1_073_741_824, ge=67_108_864, description="Memory in bytes over which a worker's child is replaced."
    )

    lease: float = Field(30.0, ge=1, description="How long an attempt or a worker lives without renewal.")
    lease_renew: float = Field(10.0, gt=0, description="How often leases are renewed.")
    claim_timeout: float = Field(5.0, gt=0, description="A published run not claimed by then is published again.")
    canary_interval: float = Field(30.0, gt=0, description="How often a worker's canary travels through the broker.")
    poll_interval: float = Field(1.0, gt=0, description="Safety net beside wake-ups.")

    sdk_threads: int = Field(16, ge=1, le=512, description="Threads of one run for submitted and mapped tasks.")

    sdk_task_retries: int = Field(0, ge=0, le=1000, description="Retries of tasks that say nothing about them.")
    sdk_task_retry_delay: float = Field(
        0.0, ge=0, le=2_592_000, description="Delay between tries of tasks that say nothing about it."
    )
    sdk_flow_retries: int = Field(0, ge=0, le=1000, description="Retries of flows that say nothing about them.")
    sdk_flow_retry_delay: float = Field(
        0.0, ge=0, le=2_592_000, description="Delay between tries of flows that say nothing about it."
    )
    sdk_loggers: tuple[str, ...] = Field(
        (), description="Further loggers of Python's logging whose lines are kept with the run that wrote them."
    )

    sdk_wait_in_place: float = Field(
        60.0, ge=0, description="Sleeps and retry delays up to so long keep the worker's slot; longer ones free it."
    )

    alerts_from: str = Field("Hubspoke", description="Name alerts are sent under.")
    alerts_retry_delays: tuple[float, ...] = Field(
        (10, 60, 300, 1800, 7200),
        description="Delays between tries of one delivery; after the last it is dead.",
    )

    alerts_timeout: float = Field(20.0, gt=0, le=20, description="Time one attempt to deliver an alert may take.")
    alerts_reach: Literal["auto", "open", "public", "fixed"] = Field(
        "auto",
        description="Hosts that channels may have: open (any), public (and `outbound_networks`), fixed (known services"
        " and signed webhooks); auto: open where the console needs no login, else public.",
    )
    alerts_schemes: tuple[str, ...] = Field(
        (), description="Schemes that addresses of channels may have, such as `mailtos`; empty allows all."
    )

    sync_interval: float = Field(30.0, gt=0, description="Heartbeat of a link to a plane.")
    sync_poll: float = Field(50.0, ge=0, le=60, description="Long poll of a link for commands.")
    sync_longest_wait: float = Field(300.0, gt=0, description="Longest wait of a link between two tries.")
    sync_sessions: float = Field(
        20.0, ge=0.1, description="Sites a web process lets begin to report in a second; more are told when to come."
    )
    sync_log_backlog: int = Field(
        1_000_000, ge=1000, description="Log lines that may wait for a plane; of more, the oldest are left out."
    )

    sync_webhook_backlog: int = Field(
        10_000, ge=1, le=1_000_000, description="Webhooks that may wait at a plane for one site; further ones get 503."
    )

    sync_takes_runs: bool = Field(
        False, description="The primary plane may start deployments here, hold the work, and stop this hub."
    )
    sync_labels: tuple[str, ...] = Field((), description="Labels by which planes place runs here, `region=berlin`.")
    sync_join_token: SecretStr = Field(
        SecretStr(""), description="Join token of `hub worker --plane`, for its first start."
    )

    results: str = Field("local", min_length=1, description="Result store for what is too large for a row.")

    retention_runs: float = Field(2_592_000, ge=0, description="How long ended runs are kept; 0: for ever.")
    retention_events: float = Field(2_592_000, ge=0, description="How long stamped events are kept; 0: for ever.")
    retention_artifacts: float = Field(
        2_592_000, ge=0, description="How long artifacts and materializations are kept; 0: for ever."
    )
    retention_cache: float = Field(
        2_592_000, ge=0, description="How long cached results are kept after their last use; 0: for ever."
    )
    retention_receipts: float = Field(2_592_000, ge=0, description="How long receipts are kept; 0: for ever.")
    retention_alerts: float = Field(
        7_776_000, ge=0, description="How long alerts that are over and messages are kept; 0: for ever."
    )

    plugins: str = Field("", description="none, only:a,b or -c,-d: which plugins are loaded; empty: all.")
    safe_mode: bool = Field(False, description="Of plugins only those that come with the hub are loaded.")
    plugins_strict: bool = Field(False, description="A plugin that does not load ends the process.")
    plugins_trusted: tuple[str, ...] = Field(
        (), description="Plugins that are called directly, without a time limit, and may wrap tasks, as the hub's own."
    )
    plugins_fail_closed: tuple[str, ...] = Field(
        (), description="Plugins without whose answer to `hub_run_before` no run is made."
    )
    log_format: Literal["console", "json"] = Field("console", description="How processes write their log.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level written.")

    @field_validator("outbound_networks", "web_proxy_networks")
    @classmethod
    def _are_networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            ip_network(text)
        return texts

    @field_validator("oidc_issuer")
    @classmethod
    def _is_an_issuer(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
            raise ValueError("an identity provider is reached by https")
        return url

    @field_validator("oidc_roles")
    @classmethod
    def _are_roles(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            group, _, role = text.rpartition("=")
            if not group or role not in ("viewer", "operator", "developer", "admin", "owner"):
                raise ValueError("write it as GROUP=ROLE; roles are viewer, operator, developer, admin, owner")
        return texts

    @property
    def sqlite_path(self) -> Path | None:
        """The database file, or None on PostgreSQL and in memory."""
        url = self.resolved_database_url
        return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

    @property
    def resolved_database_url(self) -> str:
        """The database URL with the default filled in."""
        return self.database_url or f"sqlite:///{self.home / 'hub.db'}"

    @property
    def socket_dir(self) -> Path:
        """A directory for Unix sockets whose path is short enough."""
        return socket_dir(self.home)

    @property
    def api_socket(self) -> Path:
        """Where a running hub listens for commands of its own machine: of the same version, on the same database."""
        path = self.sqlite_path
        database = str(path.absolute()) if path is not None else self.resolved_database_url
        digest = hashlib.sha256(f"{__version__} {database}".encode()).hexdigest()[:12]
        return self.socket_dir / f"api-{digest}.sock"


def socket_dir(home: Path) -> Path:
    """Give `home` itself, or where its path is too long for a socket, a private short stand-in."""
    if len(str(home)) <= _PATH_LIMIT:
        return home
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    # TMPDIR may itself be too long; /tmp never is.
    folders = (folder for folder in (tempfile.gettempdir(), "/tmp") if len(folder) <= _TEMPORARY_LIMIT)  # noqa: S108 - only its length matters; the folder in it is private
    return Path(next(folders)) / f"hub-{os.getuid()}-{digest}"


def load_settings(flags: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Read all sources in order and check them. Raises SettingError with every wrong value named."""
    env = _environment(os.environ if environ is None else environ)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    home = Path(str(given.get("home") or env.get("home") or "~/.hub")).expanduser().absolute()
    merged = {
        **_file(home, str(given.get("profile") or env.get("profile") or "")),
        **env,
        **given,
        "home": home,
    }
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise SettingError(_sentences(error), hint="Run `hub settings` to see every setting.") from None


_NO_SETTINGS = ("HUB_TEST_", "HUB_BENCH_", "HUB_PLUGIN__", "HUB_SECRET_")


def local_without_login(settings: Settings) -> bool:
    """Whether only this machine can reach the console, so that asking is owning.

    A public URL means that a proxy stands in front, and many proxies show nothing of themselves: then a login.
    """
    public = urlsplit(settings.public_url).hostname
    only_here = is_loopback(settings.web_host) and (public is None or is_loopback(public))
    return only_here and settings.web_login == "auto"


def is_loopback(host: str) -> bool:
    """Whether the name is one that only this machine can mean."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith("HUB_") or variable.startswith(_NO_SETTINGS):
            continue
        name = variable.removeprefix("HUB_").lower()
        if name.endswith("_file") and name.removesuffix("_file") in Settings.model_fields:
            found[name.removesuffix("_file")] = _secret_file(variable, value)
        elif name in Settings.model_fields:
            found[name] = _parse(name, value)
        else:
            raise SettingError(f"{variable} is not a setting of the hub.{_nearest(name, 'HUB_{}')}")
    return found


def _parse(name: str, value: str) -> Any:
    if str(Settings.model_fields[name].annotation).startswith("tuple"):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _secret_file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SettingError(f"{variable} names {path}, which cannot be read: {reason}.") from None


def _file(home: Path, profile: str) -> dict[str, Any]:
    path = home / "hub.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        data = {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} cannot be read: {error}.") from None
    declared, stored = data.pop("profiles", {}), profiles.read(home)
    profile = profile or stored.active or str(data.get("profile", ""))
    known = {name: {**declared.get(name, {}), **stored.known.get(name, {})} for name in (*declared, *stored.known)}
    if profile not in ("", profiles.LOCAL, *known):
        raise SettingError(
            f"profile {profile!r} is neither in {path} nor made by `hub profiles create`.",
            hint=f"Known profiles: {', '.join((profiles.LOCAL, *known))}.",
        )
    merged = {**data, **known.get(profile, {})}
    if profile:
        merged["profile"] = profile
    for name in merged:
        if name not in Settings.model_fields:
            raise SettingError(f"{path}: {name!r} is not a setting of the hub.{_nearest(name, '{}')}")
    return merged


def _nearest(name: str, shape: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.6)
    return f" Did you mean {shape.format(near[0].upper() if 'HUB' in shape else near[0])}?" if near else ""


def _sentences(error: ValidationError) -> str:
    # The value itself is left out: it may be a secret.
    return " ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}." for e in error.errors())
