"""`hub export`: what is defined, as a file for `hub apply`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hub.cli import output
from hub.cli.connection import connect
from hub.cli.output import AsJson
from hub.errors import UsageError

if TYPE_CHECKING:
    from hub.client import Client

HEAD = """\
# Written by `hub export`. Secrets are references: see docs/hub-yaml.md.
# For completion in an editor: hub apply --schema > hub.schema.json, and as the first line of this file
# yaml-language-server: $schema=hub.schema.json
"""


def export(
    *,
    out: Annotated[Path | None, Parameter(name=("--output", "-o"), help="The file; else standard output.")] = None,
    project: Annotated[str | None, Parameter(help="Only what belongs to this project.")] = None,
    section: Annotated[
        tuple[str, ...], Parameter(help="Only this section: deployments, sources, ...; repeatable.", negative=())
    ] = (),
    force: Annotated[bool, Parameter(negative=(), help="The file may be there: it is written anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write what is defined as a file that `hub apply` makes again, on an empty hub, too.

    Secrets are references: where one came from, or a variable of the environment by a name of their own.
    """
    from hub.runtime.definitions.exporting import dump

    with connect() as client:
        document = exported(client, _folder(out), project=project, section=section)
    text = HEAD + dump(document)
    if as_json:
        output.print_json(document)
    elif out is None:
        print(text, end="")
    else:
        try:
            with out.open("w" if force else "x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise UsageError(f"{out} is there already", hint="Give --force to write it anew.") from None
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror}") from None
        output.say(f"Written to {out}: {sum(map(len, document.values())) - bool(project)} definitions.")


def exported(client: Client, folder: Path, *, project: str | None, section: tuple[str, ...] = ()) -> dict[str, Any]:
    """The document: `project` if one is meant, then section, name, definition."""
    from hub.runtime.definitions.document import known_sections
    from hub.runtime.definitions.exporting import written

    known = known_sections()
    document: dict[str, Any] = {} if project is None else {"project": project}
    for item in client.get("/definitions", {"section": list(section), "project": project}):
        if item["section"] in known:
            one = written(known[item["section"]], item, folder)
            document.setdefault(item["section"], {})[item["name"]] = one
    return document


def _folder(out: Path | None) -> Path:
    return Path.cwd() if out is None else out.resolve().parent
