"""`hub routes`, `hub silences`, `hub inhibitions`, and what people do with alerts."""

from __future__ import annotations

from pathlib import Path

import yaml
from hub.runtime.commands import Command, apply
from hub.settings import load_settings
from hub.store import open_hub
from hub.types import Scope

from hub_notifications import notices
from hub_notifications.router import Router

from .conftest import Shell

MAIL = "mailto://127.0.0.1:1?from=hub@example.com&to=you@example.com&smtp=127.0.0.1"


def test_routes_are_made_in_options_and_changed_in_them(hub: Shell, tmp_path: Path) -> None:
    hub("channels", "add", "team", MAIL, "--tag", "data", "--rate", "60")
    said = hub(
        "routes", "set", "bills", "--match", "labels.flow.startsWith('bill')", "--channel", "tag:data", "--group-wait",
        "0s", "--repeat-interval", "1d",
    )  # fmt: skip
    assert "Route bills is made" in said
    assert "changed" in hub("routes", "set", "bills", "--group-by", "flow", "--group-by", "kind", "--continue")
    shown = yaml.safe_load(hub("routes", "show", "bills"))
    assert shown["match"] == "labels.flow.startsWith('bill')"
    assert (shown["group_by"], shown["continue"], shown["repeat_interval_s"]) == (["flow", "kind"], True, 86_400)
    file = tmp_path / "route.yaml"
    file.write_text(yaml.safe_dump({**shown, "steps": [{"after_s": 900, "channels": ["team"]}]}))
    hub("routes", "set", "bills", "--file", str(file))
    assert hub.json("routes", "show", "bills")["spec"]["steps"][0]["after_s"] == 900
    assert [route["name"] for route in hub.json("routes", "ls")] == ["bills", "default"]
    (first, second) = hub.json("routes", "test", "--label", "flow=billing")
    assert (first["route"], first["channels"], second["route"]) == ("bills", ["team"], "default")
    assert hub.json("routes", "test", "--label", "flow=etl")[0]["route"] == "default"
    hub("routes", "rm", "bills", "--yes")
    assert "cannot be deleted" in hub("routes", "rm", "default", "--yes", code=4)


def test_mistakes_in_routes_are_told(hub: Shell, tmp_path: Path) -> None:
    assert "not a CEL expression" in hub("routes", "set", "bad", "--match", "labels.flow ==", code=2)
    assert "no channel is meant by nobody" in hub("routes", "set", "bad", "--channel", "nobody", code=2)
    assert "no length of time" in hub("routes", "set", "bad", "--group-wait", "soon", code=2)
    assert "cannot be read" in hub("routes", "set", "bad", "--file", str(tmp_path / "none"), code=2)
    (tmp_path / "list").write_text("- 1\n")
    assert "holds no route" in hub("routes", "set", "bad", "--file", str(tmp_path / "list"), code=2)
    (tmp_path / "broken").write_text("a: [\n")
    assert "is not YAML" in hub("routes", "set", "bad", "--file", str(tmp_path / "broken"), code=2)
    assert "NAME=VALUE" in hub("routes", "test", "--label", "flow", code=2)
    assert "no route 'none'" in hub("routes", "show", "none", code=3)


def test_silences_and_inhibitions(hub: Shell) -> None:
    assert hub.json("silences", "ls") == []
    hub("silences", "create", "labels.flow == 'etl'", "--for", "2h", "--comment", "moving house", "--author", "ann")
    hub("silences", "create", "true", "--cron", "0 3 * * 0", "--for", "1h", "--comment", "backups")
    window, moving = hub.json("silences", "ls")
    assert (moving["state"], moving["author"], moving["hides"]) == ("active", "ann", 0)
    assert window["schedule"] == {"cron": "0 3 * * 0", "timezone": "UTC", "duration_s": 3600}
    (found,) = hub.json("routes", "test", "--label", "flow=etl")
    assert "moving house" in found["muted"]
    hub("silences", "end", moving["id"])
    assert [one["id"] for one in hub.json("silences", "ls")] == [window["id"]]
    assert {one["state"] for one in hub.json("silences", "ls", "--ended")} >= {"ended"}
    assert "how long is not said" in hub("silences", "create", "true", "--comment", "x", code=2)
    assert "after now" in hub("silences", "create", "true", "--comment", "x", "--ends", "2020-01-01T00:00:00Z", code=2)
    hub(
        "inhibitions", "set", "silent", "--while", "alert.kind == 'a'", "--hide", "alert.kind == 'b'", "--alike", "flow"
    )
    assert hub.json("inhibitions", "ls")[0]["equal"] == ["flow"]
    hub("inhibitions", "rm", "silent", "--yes")
    assert hub.json("inhibitions", "ls") == []


def test_an_alert_is_taken_ended_and_sent_once_more(hub: Shell) -> None:
    hub("channels", "add", "mail", MAIL)
    store = open_hub(load_settings())
    try:
        told = {"title": "Disk is full", "about": "disk", "occurrence": "1"}
        alert = apply(store, Command("alert.raise", Scope(), "", told)).result["id"]
        router = Router(store)
        while router.step():
            pass
        with store.write() as tx:
            tx.conn.execute(notices.DELIVERIES.update().values(status="dead", ended_at=tx.now))
        (found,) = hub.json("routes", "test", alert)
        assert found["channels"] == ["mail"]
        assert "ann looks after it for 2h" in hub("alerts", "ack", alert, "--for", "2h", "--by", "ann")
        assert hub.json("alerts", "ls")[0]["acknowledged_by"] == "ann"
        hub("alerts", "unack", alert)
        assert hub.json("alerts", "ls")[0]["acknowledged_by"] == ""
        (dead,) = hub.json("alerts", "deliveries", "--dead")
        assert "Attempt 2 to channel mail" in hub("alerts", "retry", dead["id"])
        assert "there has been attempt 2" in hub("alerts", "retry", dead["id"], code=4)
        hub("alerts", "resolve", alert)
        assert "over already" in hub("alerts", "resolve", alert, code=4)
        assert "this alert is over" in hub("alerts", "ack", alert, code=4)
    finally:
        store.close()


def test_slas(hub: Shell) -> None:
    assert hub.json("slas", "ls") == []
    hub("channels", "add", "team", MAIL)
    hub("slas", "add", "daily", "--flow", "nightly", "--every", "25h", "--to", "team", "--severity", "critical")
    hub(
        "slas",
        "add",
        "quick",
        "--deployment",
        "shop",
        "--max-duration",
        "p95",
        "--factor",
        "1.5",
        "--warn-before",
        "5m",
    )
    hub("slas", "add", "early", "--flow", "nightly", "--by", "0 8 * * 1-5", "--timezone", "Europe/Berlin")
    hub("slas", "add", "prompt", "--flow", "nightly", "--within", "2h", "--from-start")
    hub("slas", "add", "good", "--flow", "nightly", "--max-failures", "20%", "--window", "1d")
    specs = {item["name"]: item["spec"] for item in hub.json("slas", "ls")}
    assert specs["daily"]["not_run"] == {"for_s": 90_000, "counts": "completed"}
    assert {name: specs["quick"]["duration"][name] for name in ("percentile", "factor", "offset_s")} == {
        "percentile": 95.0, "factor": 1.5, "offset_s": -300,
    }  # fmt: skip
    assert (specs["early"]["deadline"]["timezone"], specs["early"]["deadline"]["since_s"]) == ("Europe/Berlin", 86_400)
    assert (specs["prompt"]["deadline"]["within_s"], specs["prompt"]["deadline"]["counted_from"]) == (7200, "start")
    assert (specs["good"]["failure_rate"]["at_most"], specs["good"]["failure_rate"]["window_s"]) == (0.2, 86_400)
    assert yaml.safe_load(hub("slas", "show", "daily"))["daily"]["not_run"]["for_s"] == 90_000
    (kept,) = hub.json("slas", "check", "daily")
    assert (kept["kept"], kept["run_id"]) == (True, None)
    assert len(hub.json("slas", "check")) == 5
    hub("slas", "rm", "daily", "--yes")
    assert "no SLA" in hub("slas", "show", "daily", code=3)
    assert "no percentage" in hub("slas", "add", "a", "--flow", "f", "--max-failures", "many", code=2)
    assert "one of" in hub("slas", "add", "a", "--flow", "f", code=2)
    assert "no channel is meant by" in hub("slas", "add", "a", "--flow", "f", "--every", "1h", "--to", "x", code=2)


def test_routes_and_slas_stand_in_hub_yaml(hub: Shell, tmp_path: Path) -> None:
    hub("routes", "set", "first")
    file = tmp_path / "hub.yaml"
    file.write_text("""
project: shop
routes:
  reports: {match: "labels.flow == 'report'", repeat_interval_s: 1d, steps: [{after_s: 900, channels: ["tag:ops"]}]}
  default: {group_wait_s: 10}
slas:
  daily: {flow: report, not_run: {for_s: 25h}}
""")
    hub("apply", str(file), code=1)  # nothing is meant by tag:ops yet
    hub("channels", "add", "team", MAIL, "--tag", "ops")
    hub("apply", str(file))
    assert "unchanged" in hub("apply", str(file))
    found = {route["name"]: route["spec"] for route in hub.json("routes", "ls")}
    assert list(found) == ["first", "reports", "default"]
    assert (found["reports"]["repeat_interval_s"], found["default"]["group_wait_s"]) == (86_400, 10)
    exported = yaml.safe_load(hub("export"))
    assert exported["routes"]["default"] == {"group_wait_s": 10}
    assert exported["slas"] == {"daily": {"flow": "report", "not_run": {"for_s": 90_000}}}
    file.write_text("project: shop\nroutes: {}\n")
    hub("apply", str(file), "--prune", "--yes")
    assert ([route["name"] for route in hub.json("routes", "ls")], hub.json("slas", "ls")) == (["first", "default"], [])
