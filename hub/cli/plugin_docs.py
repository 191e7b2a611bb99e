"""`hub plugins docs`: what a plugin brings, as its manifest and its hooks say, for people and for pages."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter

from hub.cli import output
from hub.cli.output import AsJson, Column
from hub.errors import NotFoundError, UnavailableError, UsageError
from hub.secretfields import described

if TYPE_CHECKING:
    from hub.hooks import Hooks
    from hub.plugins import LoadedPlugin

Row: TypeAlias = Mapping[str, str]
_AGAIN = {None: "", "none": "only reads", "once": "does nothing more", "again": "may do it again"}


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the page: its title, the names of its columns, its rows."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Row]


def docs(
    name: Annotated[str, Parameter(help="The plugin's name.")],
    *,
    markdown: Annotated[bool, Parameter(negative=(), help="As Markdown, for a page or a readme.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a plugin brings: hooks, connections and their fields, presets, channels, actions, commands, pages."""
    row, hooks = _loaded(name)
    sections = [section for section in _sections(row, hooks) if section.rows]
    pages = hooks.docs_pages()
    if as_json:
        told = {"sections": [asdict(section) for section in sections], "pages": [asdict(page) for page in pages]}
        output.print_json({"name": name, **told})
    elif markdown:
        print("\n".join(_markdown(row, sections)))
        for page in pages:
            print(f"\n## {page.title}\n\n{page.text.strip()}")
    else:
        for section in sections:
            output.say(section.title, style="bold")
            columns = tuple(Column(title.upper(), title) for title in section.columns)
            output.table(section.rows, columns, as_json=False, empty="")
            output.say("")
        for page in pages:
            output.say(page.title, style="bold")
            output.say(page.text.strip() + "\n")


def _loaded(name: str) -> tuple[LoadedPlugin, Hooks]:
    from importlib.metadata import entry_points

    from hub.plugins import GROUP, list_manifests, load_plugins
    from hub.settings import load_settings

    settings = load_settings()
    known = next((row for row in list_manifests(settings) if row.name == name), None)
    if known is None:
        raise NotFoundError(f"there is no plugin {name!r}", hint="`hub plugins ls` lists them.")
    where = known.manifest.runs_in if known.manifest else ()
    loaded = load_plugins(
        settings, process=where[0] if where else "cli", found=[*entry_points(group=GROUP, name=name)][:1]
    )
    row = loaded.table[0]
    if not row.works:
        raise UnavailableError(f"the plugin {name} is {row.state}: {row.problem}", hint="Mend it, then ask again.")
    return row, loaded.hooks


def _sections(row: LoadedPlugin, hooks: Hooks) -> Iterator[Section]:
    manifest = row.manifest
    assert manifest is not None
    facts = {
        "name": row.name, "version": row.version, "summary": manifest.summary, "maturity": manifest.maturity,
        "hook specifications": manifest.hookspec, "runs in": ", ".join(manifest.runs_in),
        "network": ", ".join(manifest.network), "secrets": ", ".join(manifest.secrets),
    }  # fmt: skip
    yield Section("Plugin", ("what", "value"), _rows({key: value for key, value in facts.items() if value}, "what"))
    if manifest.config:
        yield Section("Configuration", ("field", "type", "default", "description"), _configuration(row))
    exempt = [{"rule": rule, "reason": reason} for rule, reason in manifest.exemptions.items()]
    yield Section("Rules it does not keep", ("rule", "reason"), exempt)
    commands = {f"hub {name}": manifest.cli_help.get(name, manifest.summary) for name in manifest.cli}
    yield Section("Commands", ("command", "value"), _rows(commands, "command"))
    yield from _brought(hooks)
    yield Section("Hooks", ("hook", "value"), _rows({hook: _hook_says(hook) for hook in row.hooks}, "hook"))


def _brought(hooks: Hooks) -> Iterator[Section]:
    yield Section("Webhook presets", ("preset", "summary", "events"), _presets(hooks))
    for kind in hooks.connection_kinds():
        fields = [_field(field) for field in described(kind.settings)]
        yield Section(f"Connections of the kind {kind.name}", ("field", "type", "default", "description"), fields)
    channels = [
        {"scheme": kind.scheme, "summary": kind.summary, "address": kind.example} for kind in hooks.channel_kinds()
    ]
    yield Section("Channels", ("scheme", "summary", "address"), channels)
    actions = [
        {"action": name, "what it does": action.summary, "one more try": _AGAIN[action.effect]}
        for name, action in sorted(hooks.actions().items())
    ]
    yield Section("Actions", ("action", "what it does", "one more try"), actions)
    stores = [{"kind of connection": kind.connection_kind} for kind in hooks.result_stores()]
    yield Section("Result stores", ("kind of connection",), stores)
    consumers = [{"consumer": kind.name, "kind of connection": kind.connection_kind} for kind in hooks.consumers()]
    yield Section("Consumers", ("consumer", "kind of connection"), consumers)
    yield Section("Serializers", ("serializer",), [{"serializer": one.name} for one in hooks.serializers()])


def _presets(hooks: Hooks) -> list[Row]:
    from hub.webhooks.preset import load_preset

    found: list[Row] = []
    for text in hooks.presets():
        try:
            preset = load_preset(text.text, text.origin)
        except UsageError:
            continue  # `hub plugins check` says what is wrong with it
        found.append({"preset": preset.id, "summary": preset.summary, "events": ", ".join(preset.events)})
    return found


def _field(field: Mapping[str, Any]) -> Row:
    marks = [word for word in ("required", "secret") if field[word]]
    default = "" if field["default"] is None else str(field["default"])
    text = str(field["description"]) + (f" ({', '.join(marks)})" if marks else "")
    return {"field": str(field["name"]), "type": str(field["type"]), "default": default, "description": text}


def _configuration(row: LoadedPlugin) -> list[Row]:
    from hub.plugins import config_model
    from hub.secretfields import described

    return [_field(field) for field in described(config_model(row))]


def _hook_says(hook: str) -> str:
    from hub import hookspecs

    return (inspect.getdoc(getattr(hookspecs, hook, None)) or "").split("\n")[0]


def _rows(values: Mapping[str, str], key: str) -> list[Row]:
    return [{key: name, "value": value} for name, value in values.items()]


def _markdown(row: LoadedPlugin, sections: Sequence[Section]) -> Iterator[str]:
    yield f"# {row.name}\n"
    yield f"{row.manifest.summary if row.manifest else ''}"
    for section in sections:
        yield f"\n## {section.title}\n"
        yield f"| {' | '.join(section.columns)} |"
        yield f"|{'---|' * len(section.columns)}"
        for one in section.rows:
            yield f"| {' | '.join(_escaped(one[column]) for column in section.columns)} |"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
