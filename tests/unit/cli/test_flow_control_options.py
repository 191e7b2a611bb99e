"""Flow control on the command line: given as a file or as text, shown, and told when a run is asked for."""

from __future__ import annotations

from pathlib import Path

from .conftest import Shell


def test_it_is_deployed_from_a_file_shown_and_told(hub: Shell, flow_file: str, tmp_path: Path) -> None:
    file = tmp_path / "flow-control.yaml"
    file.write_text("flow_control:\n  debounce: {period: 1h, key: params.code}\n  concurrency:\n    limit: 2\n")
    hub("deploy", flow_file, "--name", "d", "--flow-control", str(file))
    assert hub.json("deployments", "show", "d")["flow_control"] == {"debounce": {"period": 3600, "key": "params.code"}}
    said = " ".join(hub("deployments", "show", "d").split())
    assert 'Flow control {"debounce": {"period": 3600.0, "key": "params.code"}, "concurrency": {"limit": 2}}' in said
    assert "debounce: the first request; it starts at" in hub("deployments", "run", "d", "-p", "n=1")
    made = hub.json("deployments", "run", "d", "-p", "n=2")
    assert (made["created"], made["flow_control"]["decision"]) == (False, "merged")
    assert "debounce: 2 requests" in " ".join(hub("runs", "show", made["id"]).split())


def test_it_is_given_as_text(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file, "--name", "d", "--flow-control", "{rate_limit: {limit: 1, period: 1m}}")
    hub("deployments", "run", "d")
    dropped = hub("deployments", "run", "d")
    assert "rate_limit: 1 came within 60 s" in dropped
    (row,) = [row for row in hub.json("runs", "ls") if row["state_type"] == "CANCELLED"]
    assert row["deployment_name"] == "d"
    hub("deploy", flow_file, "--name", "d")
    assert hub.json("deployments", "show", "d")["flow_control"] == {}


def test_what_is_wrong_is_said(hub: Shell, flow_file: str, tmp_path: Path) -> None:
    both = '{"batch": {"max_size": 2, "timeout": 5}, "debounce": {"period": 5}}'
    assert "batch and debounce cannot be combined" in hub("deploy", flow_file, "--flow-control", both, code=2)
    assert "is neither YAML nor JSON" in hub("deploy", flow_file, "--flow-control", "{a: [", code=2)
    assert "cannot be read" in hub("deploy", flow_file, "--flow-control", str(tmp_path / "none.yaml"), code=2)
    (tmp_path / "list.yaml").write_text("- debounce")
    assert "must be an object of controls" in hub(
        "deploy", flow_file, "--flow-control", f"{tmp_path}/list.yaml", code=2
    )
    (tmp_path / "large.yaml").write_text("#" * 200_000)
    assert "is larger than" in hub("deploy", flow_file, "--flow-control", f"{tmp_path}/large.yaml", code=2)
    said = hub("deploy", flow_file, "--flow-control", "{debounce: {period: soon}}", code=2)
    assert "write a duration as 30s, 5m, 2h, 1d" in " ".join(said.split())


def test_an_automation_has_its_own(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file, "--name", "d")
    throttle = "{throttle: {limit: 1, period: 5s, key: event.subject}}"
    hub("automations", "create", "a", "--on", "x.y", "--run", "d", "--flow-control", throttle)
    (action,) = hub.json("automations", "show", "a")["actions"]
    assert action["flow_control"] == {"throttle": {"limit": 1, "period": 5, "key": "event.subject"}}
    assert "Say --run DEPLOYMENT" in hub(
        "automations", "create", "b", "--do", "alert=x", "--flow-control", throttle, code=2
    )
