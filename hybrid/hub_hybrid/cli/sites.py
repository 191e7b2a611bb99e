"""`hub sites`: the hubs that report to this one."""

from __future__ import annotations

import json
from typing import Annotated, Any

from cyclopts import App, Parameter
from hub.cli import output, parameters
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit, Yes
from hub.cli.placement import Labels, Site
from hub.runtime.labels import read_labels

app = App(name="sites", help="The hubs that report to this one.")

COLUMNS = (
    Column("NAME", "name"),
    Column("PRESENCE", "presence", "state"),
    Column("LAST SEEN", "last_seen_at", "time"),
    Column("ACKED", "acked_seq"),
    Column("HEAD", "head_seq"),
    Column("WAITING", "commands_waiting"),
    Column("WORK", lambda item: item["work"] if item["takes_runs"] else "", "state"),
    Column("LABELS", lambda item: ", ".join(f"{name}={value}" for name, value in sorted(item["labels"].items()))),
    Column("ID", "id", "id"),
)
RUNS = (
    Column("ID", "id", "id"),
    Column("NAME", "name"),
    Column("STATE", output.state, "state"),
    Column("FLOW", "flow_name"),
    Column("CREATED", "created_at", "time"),
    Column("NOTICE", "notice"),
)
LINES = (Column("AT", "at", "time"), Column("LEVEL", "level"), Column("LOGGER", "logger"), Column("MESSAGE", "message"))
RUN = (
    *RUNS,
    Column("STARTED", "started_at", "time"),
    Column("ENDED", "ended_at", "time"),
    Column("ERROR", "error_type"),
)
MORE = ("parameters", "result", "error_message", "error_trace")
COMMANDS = (
    Column("SEQ", "seq"),
    Column("COMMAND", "op"),
    Column("TARGET", "target", "id"),
    Column("STATUS", "status", "state"),
    Column("ISSUED", "issued_at", "time"),
    Column("NOTICE", "notice"),
    Column("ID", "id", "id"),
)
SiteName = Annotated[str, Parameter(help="The site's name or id.")]


@app.command
def ls(*, limit: Limit = 200, as_json: AsJson = False) -> None:
    """List the sites and when they were heard last."""
    with connect() as client:
        found = list(client.items("/sites", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty="No sites yet. Make one: hub sites create NAME")


@app.command
def create(
    name: Annotated[str, Parameter(help="What to call the site.")],
    *,
    life: Annotated[float, Parameter(help="For how many seconds its hub may join.")] = 3600,
    as_json: AsJson = False,
) -> None:
    """Make a site and print its join token, once. One hub may join with it."""
    with connect() as client:
        made = client.post("/sites", {"name": name, "life_s": life})
    if as_json:
        output.print_json(made)
        return
    print(made["token"])
    output.error_console().print(
        "Keep it: it is not shown again. At the site: hub cloud connect URL TOKEN", style="dim", markup=False
    )


@app.command
def token(
    site: Annotated[str, Parameter(help="A site that is there, whose hub is to join anew; without it: new ones.")] = "",
    *,
    uses: Annotated[int, Parameter(help="How many new hubs may join with it.")] = 1,
    life: Annotated[float, Parameter(help="For how many seconds.")] = 3600,
    as_json: AsJson = False,
) -> None:
    """Make a join token: for new hubs, or for one that cannot get in any more."""
    with connect() as client:
        made = client.post("/sites/tokens", {"site": site or None, "uses": uses, "life_s": life})
    if as_json:
        output.print_json(made)
        return
    print(made["token"])
    then = "hub cloud rejoin TOKEN" if site else "hub cloud connect URL TOKEN --site-name NAME"
    output.error_console().print(f"It is not shown again. At the site: {then}", style="dim", markup=False)


@app.command
def revoke(site: SiteName, *, yes: Yes = False) -> None:
    """Make a site's keys worthless; it stays on the list, and its hub may join anew."""
    output.confirm(f"Revoke the keys of site {site}?", yes=yes)
    with connect() as client:
        client.post(path("sites", site, "revoke"))
    output.say(f"The keys of site {site} are revoked. Let its hub in again: hub sites token {site}")


@app.command
def rotate(site: SiteName) -> None:
    """Ask a site for another key; it makes one with its next heartbeat."""
    with connect() as client:
        client.post(path("sites", site, "rotate"))
    output.say(f"Site {site} is asked for another key.")


@app.command
def rm(site: SiteName, *, yes: Yes = False) -> None:
    """Strike a site off; its token is worthless from then on."""
    output.confirm(f"Remove site {site}?", yes=yes)
    with connect() as client:
        client.delete(path("sites", site))
    output.say(f"Site {site} is removed.")


@app.command
def runs(
    site: SiteName,
    *,
    state: Annotated[str | None, Parameter(help="Only runs in this state.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List a site's runs as it reported them."""
    with connect() as client:
        found = list(client.items(path("sites", site, "runs"), {"state": state}, limit=limit))
    output.table(found, RUNS, as_json=as_json, empty="This site has reported no runs.")


@app.command
def run(site: SiteName, run: Annotated[str, Parameter(help="The run's id.")], *, as_json: AsJson = False) -> None:
    """Show a run of a site, with what its policy lets out."""
    with connect() as client:
        found = client.get(path("sites", site, "runs", run))
    output.detail(found, RUN, as_json=as_json)
    if not as_json:
        for name in (name for name in MORE if found[name] is not None):
            output.say(f"\n{name.replace('_', ' ')}: {_text(found[name])}")


@app.command
def logs(
    site: SiteName,
    run: Annotated[str, Parameter(help="The run's id.")],
    *,
    limit: Limit = 1000,
    as_json: AsJson = False,
) -> None:
    """Print the log lines of a site's run that its policy lets out; it also says where lines are missing."""
    with connect() as client:
        found = list(client.items(path("sites", site, "runs", run, "logs"), limit=limit))
    output.table(
        found, LINES, as_json=as_json, empty="No log lines: the site's policy lets none out, or there are none."
    )


@app.command
def start(
    deployment: Annotated[str, Parameter(help="The name of a deployment at the site.")],
    *,
    labels: Labels = (),
    site: Site = "",
    params: parameters.Pairs = (),
    file: parameters.File = None,
    as_json: AsJson = False,
) -> None:
    """Start a deployment at a site that has the labels. The parameters are sealed to that site."""
    body = {
        "deployment": deployment, "labels": read_labels(labels), "site": site or None,
        "parameters": parameters.parse(params, file),
    }  # fmt: skip
    with connect() as client:
        placed = client.post("/sites/runs", body)
    if as_json:
        output.print_json(placed)
        return
    print(placed["run_id"])
    follow = f"hub sites run {placed['site']} {placed['run_id']}"
    output.error_console().print(f"Placed at {placed['site']}. See it: {follow}", style="dim", markup=False)


@app.command
def pause(site: SiteName) -> None:
    """Ask a site that takes runs to begin nothing more; what executes there goes on."""
    _ask_work(site, "pause", "begins nothing more")


@app.command
def resume(site: SiteName) -> None:
    """Ask a site to begin runs again."""
    _ask_work(site, "resume", "goes on")


@app.command
def drain(site: SiteName, *, yes: Yes = False) -> None:
    """Ask a site to begin nothing more and to stop once nothing executes there."""
    output.confirm(f"Stop the hub of site {site} when its runs have ended?", yes=yes)
    _ask_work(site, "drain", "begins nothing more, and stops when nothing executes")


@app.command
def cancel(site: SiteName, run: Annotated[str, Parameter(help="The run's id.")], *, as_json: AsJson = False) -> None:
    """Ask a site to cancel a run. The site decides; if it is offline, when it returns."""
    with connect() as client:
        asked = client.post(path("sites", site, "runs", run, "cancel"))
    output.print_json(asked) if as_json else output.say(f"{asked['notice']} (command {asked['id']})")


@app.command
def commands(site: SiteName, *, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List what a site was asked to do, and what came of it."""
    with connect() as client:
        found = list(client.items(path("sites", site, "commands"), limit=limit))
    output.table(found, COMMANDS, as_json=as_json, empty="This site was asked nothing yet.")


@app.command
def withdraw(site: SiteName, command: Annotated[str, Parameter(help="The command's id.")]) -> None:
    """Take a command back that the site has not fetched yet."""
    with connect() as client:
        client.delete(path("sites", site, "commands", command))
    output.say("The command is withdrawn.")


@app.command
def digest(site: SiteName, *, since: int = 0, as_json: AsJson = False) -> None:
    """The digest of a site's runs as this plane has them, to compare with `hub cloud digest` there."""
    with connect() as client:
        found = client.get(path("sites", site, "digest"), {"since": since})
    output.print_json(found) if as_json else output.say(f"{found['runs']} runs  {found['sha256']}")


@app.command
def restored(*, yes: Yes = False) -> None:
    """Say that this plane's database was restored from a backup: every site begins a new session."""
    output.confirm("Was this plane restored from a backup?", yes=yes)
    with connect() as client:
        answer = client.post("/sites/restored")
    output.say(f"{answer['sites']} sites begin anew.")


def _ask_work(site: str, to: str, then: str) -> None:
    with connect() as client:
        asked = client.post(path("sites", site, "work"), {"to": to})
    output.say(f"As soon as it hears of it, site {site} {then} (command {asked['id']}).")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
