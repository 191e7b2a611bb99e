"""Every setting by its environment name: what it takes, what it refuses, and in which order sources count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub.errors import SettingError
from hub.settings import Settings, load_settings, socket_dir
from pydantic import SecretStr

EXAMPLES: list[tuple[str, str, Any, str | None]] = [
    ("database_url", "text", "text", None),
    ("broker_url", "text", "text", None),
    ("api_url", "text", "text", None),
    ("api_key", "text", "text", None),
    ("public_url", "text", "text", None),
    ("journal", "off", "off", "nonsense"),
    ("web_host", "text", "text", None),
    ("web_port", "3", 3, "many"),
    ("web_processes", "3", 3, "0"),
    ("web_login", "always", "always", "nonsense"),
    ("web_hosts", "a, b", ("a", "b"), None),
    ("web_trusted_proxies", "3", 3, "many"),
    ("web_tls_cert", "/etc/hub/cert.pem", Path("/etc/hub/cert.pem"), None),
    ("web_tls_key", "/etc/hub/key.pem", Path("/etc/hub/key.pem"), None),
    ("web_plain_http", "true", True, "perhaps"),
    ("oidc_issuer", "https://id.example.org", "https://id.example.org", "http://id.example.org"),
    ("oidc_name", "Example", "Example", None),
    ("oidc_client_id", "hub", "hub", None),
    ("oidc_client_secret", "text", "text", None),
    ("oidc_client_auth", "key", "key", "password"),
    ("oidc_scopes", "openid, groups", ("openid", "groups"), None),
    ("oidc_groups_claim", "roles", "roles", None),
    ("oidc_roles", "a=viewer, b=c=admin", ("a=viewer", "b=c=admin"), "a=king"),
    ("oidc_default_role", "viewer", "viewer", "owner"),
    ("api_ca", "/etc/hub/ca.pem", Path("/etc/hub/ca.pem"), None),
    ("web_max_body", "3", 3, "many"),
    ("endpoint_timeout", "20", 20.0, "0"),
    ("endpoint_retry_delays", "5, 60", (5.0, 60.0), "soon"),
    ("endpoint_disable_after", "3600", 3600.0, "-1"),
    ("outbound_networks", "10.0.0.0/8, fd00::/8", ("10.0.0.0/8", "fd00::/8"), "10.0.0.1/8"),
    ("web_proxy_networks", "10.0.0.0/8, 192.0.2.7", ("10.0.0.0/8", "192.0.2.7"), "10.0.0.1/8"),
    ("door_max_body", "3", 3, "many"),
    ("door_read_timeout", "4.5", 4.5, "-1"),
    ("door_queue", "3", 3, "many"),
    ("door_rejected_per_minute", "3", 3, "many"),
    ("worker_slots", "3", 3, "many"),
    ("worker_queues", "a, b", ("a", "b"), None),
    ("worker_name", "text", "text", None),
    ("worker_cancel_grace", "4.5", 4.5, "-1"),
    ("worker_stop_grace", "4.5", 4.5, "-1"),
    ("lease", "4.5", 4.5, "-1"),
    ("lease_renew", "4.5", 4.5, "-1"),
    ("claim_timeout", "4.5", 4.5, "-1"),
    ("canary_interval", "4.5", 4.5, "-1"),
    ("poll_interval", "4.5", 4.5, "-1"),
    ("results", "text", "text", None),
    ("sdk_threads", "3", 3, "many"),
    ("sdk_task_retries", "3", 3, "-1"),
    ("sdk_task_retry_delay", "4.5", 4.5, "-1"),
    ("sdk_flow_retries", "3", 3, "1001"),
    ("sdk_flow_retry_delay", "4.5", 4.5, "soon"),
    ("sdk_loggers", "a, b.c", ("a", "b.c"), None),
    ("sdk_wait_in_place", "2.5", 2.5, "-1"),
    ("alerts_from", "text", "text", None),
    ("alerts_retry_delays", "1, 2", (1.0, 2.0), "soon"),
    ("alerts_schemes", "a, b", ("a", "b"), None),
    ("alerts_timeout", "4.5", 4.5, "21"),
    ("alerts_reach", "fixed", "fixed", "nowhere"),
    ("sync_interval", "4.5", 4.5, "-1"),
    ("sync_poll", "4.5", 4.5, "-1"),
    ("sync_longest_wait", "4.5", 4.5, "-1"),
    ("sync_sessions", "4.5", 4.5, "0"),
    ("sync_log_backlog", "2000", 2000, "10"),
    ("sync_webhook_backlog", "20", 20, "0"),
    ("sync_takes_runs", "true", True, "perhaps"),
    ("sync_labels", "region=berlin, gpu=no", ("region=berlin", "gpu=no"), None),
    ("sync_join_token", "hub_join_x", "hub_join_x", None),
    ("retention_runs", "4.5", 4.5, "-1"),
    ("retention_events", "4.5", 4.5, "-1"),
    ("retention_receipts", "4.5", 4.5, "-1"),
    ("retention_alerts", "4.5", 4.5, "-1"),
    ("retention_artifacts", "4.5", 4.5, "-1"),
    ("retention_cache", "4.5", 4.5, "-1"),
    ("results", "lake", "lake", ""),
    ("plugins", "text", "text", None),
    ("plugins_strict", "true", True, "perhaps"),
    ("safe_mode", "true", True, "perhaps"),
    ("plugins_trusted", "a, b", ("a", "b"), None),
    ("plugins_fail_closed", "a, b", ("a", "b"), None),
    ("log_format", "json", "json", "nonsense"),
    ("log_level", "ERROR", "ERROR", "nonsense"),
    ("worker_memory_per_child", "100000000", 100_000_000, "1"),
    ("worker_runs_per_child", "3", 3, "0"),
]
"""Name, a text as the environment gives it, the value it means, a text that is refused."""
ELSEWHERE = {"home", "profile", "encryption_key"}


@pytest.mark.parametrize(("name", "text", "value", "_wrong"), EXAMPLES)
def test_it_is_read_from_the_environment(name: str, text: str, value: Any, _wrong: str | None, tmp_path: Path) -> None:
    settings = load_settings(environ={"HUB_HOME": str(tmp_path), f"HUB_{name.upper()}": text})
    found = getattr(settings, name)
    assert (found.get_secret_value() if isinstance(found, SecretStr) else found) == value


@pytest.mark.parametrize(("name", "wrong"), [(name, wrong) for name, _, _, wrong in EXAMPLES if wrong is not None])
def test_a_wrong_value_is_refused_with_its_name(name: str, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=name):
        load_settings(environ={"HUB_HOME": str(tmp_path), f"HUB_{name.upper()}": wrong})


def test_no_setting_is_forgotten_here() -> None:
    assert {name for name, *_ in EXAMPLES} | ELSEWHERE == set(Settings.model_fields)


def test_flag_beats_environment_beats_profile_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("web_port = 1\nlease = 40\n[profiles.p]\nweb_port = 2\n")
    home = {"HUB_HOME": str(tmp_path)}
    assert load_settings(environ=home).web_port == 1
    assert load_settings(environ={**home, "HUB_PROFILE": "p"}).web_port == 2
    assert load_settings(environ={**home, "HUB_PROFILE": "p", "HUB_WEB_PORT": "3"}).web_port == 3
    assert load_settings({"web_port": 4}, environ={**home, "HUB_WEB_PORT": "3"}).web_port == 4
    assert load_settings(environ=home).lease == 40
    assert load_settings(environ={"HUB_HOME": str(tmp_path / "other")}).web_port == 4300


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("HUB_WEB_PROT", "1", "HUB_WEB_PORT"),
        ("HUB_PROFILE", "nowhere", "nowhere"),
        ("HUB_ENCRYPTION_KEY_FILE", "/no/such/file", "cannot be read"),
    ],
)
def test_what_is_not_known_is_refused_with_the_nearest(variable: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=said):
        load_settings(environ={"HUB_HOME": str(tmp_path), variable: text})


def test_variables_of_tests_and_benchmarks_are_no_settings(tmp_path: Path) -> None:
    others = {"HUB_TEST_WRITE": "1", "HUB_BENCH_PREFECT_PYTHON": "/usr/bin/python3"}
    assert load_settings(environ={"HUB_HOME": str(tmp_path), **others}).home == tmp_path


def test_a_broken_or_unknown_file_entry_is_named(tmp_path: Path) -> None:
    for text, said in (("web_prot = 1", "web_port"), ("= nonsense", "hub.toml")):
        (tmp_path / "hub.toml").write_text(text)
        with pytest.raises(SettingError, match=said):
            load_settings(environ={"HUB_HOME": str(tmp_path)})


def test_secrets_come_from_files_and_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("canary-5521\n")
    settings = load_settings(environ={"HUB_HOME": str(tmp_path), "HUB_API_KEY_FILE": str(tmp_path / "key")})
    assert settings.api_key.get_secret_value() == "canary-5521"
    assert "canary-5521" not in repr(settings)


def test_a_long_home_gets_a_short_socket_folder() -> None:
    assert socket_dir(Path("/short")) == Path("/short")
    assert len(str(socket_dir(Path("/" + "x" * 200)))) < 90
