"""`hub transfer`: this hub, whole, in another database."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from hub.cli import output
from hub.cli.output import AsJson, Column, DryRun, Yes
from hub.errors import ConflictError, UsageError
from hub.settings import Settings, load_settings

if TYPE_CHECKING:
    from hub.store.base import Store

_PLANNED = (Column("TABLE", "table"), Column("ROWS", "rows"))
_MOVED = (*_PLANNED, Column("EQUAL", "equal", "flag"))


def transfer(
    to: Annotated[
        str, Parameter(help="The other database: postgresql://... or sqlite:////path; not with --undo.")
    ] = "",
    *,
    anew: Annotated[bool, Parameter(negative=(), help="Remove first whatever the other database holds.")] = False,
    undo: Annotated[bool, Parameter(negative=(), help="Let the hub start on this database again.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Move this hub, its definitions and all its history, into another database. Stop it first.

    One that was cut off goes on when it is called again. In the end both are compared, row by row; then the hub starts
    on the other one only.
    """
    from hub.runtime import transferring
    from hub.store import open_hub
    from hub.store.transfer import refuse_moved

    settings = load_settings()
    if undo:
        _undo(settings)
        return
    if not to:
        raise UsageError("where to?", hint="hub transfer postgresql://user@host/name")
    shown = transferring.shown(to)
    if transferring.shown(settings.resolved_database_url) == shown:
        raise UsageError("that is the database that the hub has now")
    source = open_hub(settings)
    try:
        source.migrate()
        refuse_moved(source)
        planned = dict(transferring.plan(source))
        if dry_run:
            rows = [{"table": name, "rows": many} for name, many in planned.items()]
            output.table(rows, _PLANNED, as_json=as_json, empty="There is nothing to move.")
            return
        output.confirm(f"Move {sum(planned.values())} rows to {shown}?", yes=yes)
        _move(settings, source, to, shown, anew=anew, as_json=as_json)
    finally:
        source.close()


def _move(settings: Settings, source: Store, to: str, shown: str, *, anew: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from hub.runtime import transferring
    from hub.runtime.supervisor import only_one
    from hub.store import open_hub

    target = open_hub(settings.model_copy(update={"database_url": to}))
    said = output.error_console()
    try:
        target.migrate()
        lock: AbstractContextManager[None] = only_one(settings) if settings.sqlite_path is not None else nullcontext()
        with lock:
            with said.status("Waiting for leases of processes that have ended ...") as status:
                transferring.wait_until_unused(source, lambda left: status.update(f"Leases end in {left:.0f} s ..."))
            with said.status("Copying ...") as status:

                def tell(name: str, rows: int, of: int) -> None:
                    status.update(f"{name}: {rows} of {of}")

                found = transferring.move(source, target, to=shown, anew=anew, tell=tell)
    finally:
        target.close()
    output.table([asdict(one) for one in found], _MOVED, as_json=as_json, empty="There was nothing to move.")
    if as_json:
        return
    output.say(f"The hub is in {shown} now: set HUB_DATABASE_URL to it. It does not start on the old one any more;")
    output.say("`hub transfer --undo` there would let it, which is for when nothing has started on the new one.")


def _undo(settings: Settings) -> None:
    from hub.runtime import transferring
    from hub.store import open_hub

    source = open_hub(settings)
    try:
        if (to := transferring.undo(source)) is None:
            raise ConflictError("this database was not moved: there is nothing to undo", code="not-moved")
    finally:
        source.close()
    output.say(f"The hub starts on this database again. Whatever it did in {to} is not here.")
