"""`hub webhooks import`: the hooks of adnanh/webhook as sources and automations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, DryRun, Yes
from hub.errors import HubError, NotFoundError, UsageError

if TYPE_CHECKING:
    from hub.client import Client
    from hub.webhooks.adnanh import Planned


@dataclass(slots=True)
class _Hook:
    """A hook, and how far the hub can take it over."""

    planned: Planned
    deployment: str
    runs: bool
    has_source: bool
    out: list[dict[str, Any]] = field(default_factory=list)
    url: str | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing of what it did is left out."""
        return not self.out and self.runs and not self.planned.incomplete

    def document(self) -> dict[str, Any]:
        """For `--json`; never a secret."""
        made = self.planned
        known = {"hook": made.name, "line": made.line, "taken_over": not self.out, "stays_out": self.out}
        if self.out:
            return known
        problems = [{"line": one.line, "text": one.text} for one in made.problems]
        if not self.runs:
            told = f"no deployment is called {self.deployment}: deploy a flow that runs {made.command or 'its command'}"
            problems.insert(0, {"line": made.command_line or made.line, "text": f"execute-command: {told}"})
        return {
            **known, "source": "is there" if self.has_source else made.preset, "options": made.options,
            "verified": made.verified, "allow_from": made.allow_from, "url": self.url, "event": made.event,
            "match": made.match,
            "run": self.deployment if self.runs else None, "parameters": made.parameters, "problems": problems,
        }  # fmt: skip


def install(app: App) -> None:
    """Add the command."""
    app.command(name="import")(import_)


def import_(
    file: Annotated[Path, Parameter(help="hooks.json or hooks.yaml of adnanh/webhook.")],
    *,
    deployment: Annotated[
        str | None, Parameter(help="What all hooks start; else each the one of its own name.")
    ] = None,
    unverified: Annotated[
        bool, Parameter(negative=(), help="Take over hooks that verify nothing, too: anybody may send.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Make sources and automations of the hooks of adnanh/webhook. Exit status 1: something is left out."""
    from hub.webhooks.adnanh import plan, read

    planned = [plan(hook) for hook in read(_text(file), str(file))]
    with connect() as client:
        hooks = [_looked_up(client, one, deployment, unverified=unverified) for one in planned]
        if not dry_run:
            if not as_json:
                _show(hooks)
            if any(not hook.out for hook in hooks):
                output.confirm("Make these sources and automations?", yes=yes)
            for hook in hooks:
                _make(client, hook)
    if as_json:
        output.print_json([hook.document() for hook in hooks])
    elif dry_run:
        _show(hooks)
        output.say("Nothing was changed.")
    else:
        _show_made(hooks)
    return 0 if all(hook.whole for hook in hooks) else 1


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text in UTF-8") from None


def _looked_up(client: Client, planned: Planned, deployment: str | None, *, unverified: bool) -> _Hook:
    wanted = deployment or planned.name
    source = _find(client, "sources", planned.name)
    hook = _Hook(planned, wanted, _find(client, "deployments", wanted) is not None, source is not None)
    hook.out = [{"line": one.line, "text": one.text} for one in planned.blocked]
    if not planned.blocked and not planned.verified and not unverified:
        told = "nothing in it verifies who sends: --unverified takes it over as it is, or give it a rule"
        hook.out.append({"line": planned.line, "text": told})
    if source and not hook.out and (source["preset"], source["options"].get("type")) != _kind(planned):
        told = f"a source of this name is there, of the preset {source['preset']}: remove it, or rename the hook"
        hook.out.append({"line": planned.line, "text": told})
    if not hook.out:
        _compiled(hook)
    return hook


def _compiled(hook: _Hook) -> None:
    from hub.errors import ExpressionError
    from hub.runtime.expressions import check_mapping, compile_expression

    try:
        compile_expression(hook.planned.match or "true")
        check_mapping(dict(hook.planned.parameters))
    except ExpressionError as error:
        hook.out.append({"line": hook.planned.line, "text": f"its rule is no CEL: {error.detail}"})


def _kind(planned: Planned) -> tuple[str, str]:
    return planned.preset, planned.options["type"]


def _find(client: Client, kind: str, name: str) -> Any:
    try:
        return client.get(path(kind, name)) if name else None
    except NotFoundError:
        return None


def _make(client: Client, hook: _Hook) -> None:
    if hook.out:
        return
    planned = hook.planned
    try:
        if not hook.has_source:
            body: dict[str, Any] = {"name": planned.name, "preset": planned.preset, "options": planned.options}
            body |= {"secret": planned.secret} if planned.verified else {"verify": "none"}
            body |= {"allow_from": planned.allow_from} if planned.allow_from else {}
            hook.url = str(client.post("/sources", body)["url"])
        if hook.runs:
            action = {"run_deployment": hook.deployment, "parameters": planned.parameters}
            trigger = {"types": [planned.event], "match": planned.match}
            client.put(path("automations", planned.automation), {"trigger": trigger, "actions": [action]})
    except HubError as error:
        hook.out.append({"line": planned.line, "text": f"the hub refuses it: {error.detail}"})


def _show(hooks: list[_Hook]) -> None:
    for document in (hook.document() for hook in hooks):
        output.say(f"{document['hook'] or '(no id)'} (line {document['line']})", style="bold")
        if document["taken_over"]:
            _show_one(document)
        for problem in document["stays_out"]:
            output.say(f"  stays out, line {problem['line']}: {problem['text']}", style="red")
        for problem in document.get("problems", ()):
            output.say(f"  line {problem['line']}: {problem['text']}", style="yellow")


def _show_one(document: Mapping[str, Any]) -> None:
    options = " ".join(f"-o {name}={value}" for name, value in sorted(document["options"].items()))
    how = "" if document["verified"] else ", NOTHING IS VERIFIED"
    where = "".join(f" --allow-from {network}" for network in document["allow_from"])
    output.say(f"  source: {document['source']} {options}{where}{how}")
    output.say(f"  on {document['event']}" + (f" if {document['match']}" if document["match"] else ""))
    if document["run"]:
        given = " ".join(f"-p {name}={value}" for name, value in document["parameters"].items())
        output.say(f"  run {document['run']} {given}".rstrip())


def _show_made(hooks: list[_Hook]) -> None:
    for hook in hooks:
        if hook.url:
            output.say(f"{hook.planned.name}: {hook.url}")
        for problem in hook.out:
            output.say(f"{hook.planned.name} stays out, line {problem['line']}: {problem['text']}", style="red")
    if any(hook.url for hook in hooks):
        output.say("Enter the addresses at the senders; they are shown this once.", style="yellow")
