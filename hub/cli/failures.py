"""How an error looks: one sentence, one hint, an exit code; never a traceback for a user's mistake."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from hub.cli.output import error_console
from hub.errors import HubError

if TYPE_CHECKING:
    from cyclopts import CycloptsError


def show_error(error: Exception, *, as_json: bool = False) -> int:
    """Write the error to standard error and give its exit code."""
    if not isinstance(error, HubError):
        error = _translated(error)
    if as_json:
        document = {"error": {"code": error.code, "detail": error.detail, "hint": error.hint}}
        print(json.dumps(document), file=sys.stderr)
    else:
        _write(error.detail, error.hint)
    return error.exit_code


def show_usage(error: CycloptsError) -> str:
    """Word a mistake in the command line the way every other error is worded; Cyclopts prints it."""
    chain = " ".join(error.command_chain or ())
    message = str(error).strip().rstrip(".")
    hint = f"`{f'hub {chain}'.strip()} --help` shows what it takes."
    return f"[bold red]Error:[/] {_escaped(message)}.\n[dim]Hint:[/] {hint}"


def _write(detail: str, hint: str) -> None:
    console = error_console()
    console.print(f"[bold red]Error:[/] {_escaped(detail)}", soft_wrap=True)
    if hint:
        console.print(f"[dim]Hint:[/] {_escaped(hint)}", soft_wrap=True)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _translated(error: Exception) -> HubError:
    if isinstance(error.__cause__, HubError):
        return error.__cause__
    if isinstance(error, PermissionError):
        return HubError(f"{error.filename or 'a file'} may not be opened: permission denied.", code="forbidden")
    if isinstance(error, OSError) and error.filename:
        return HubError(f"{error.filename}: {error.strerror}.", code="os")
    hint = "This is a defect of the hub. The same command with --traceback shows where it happened."
    cause = error.__cause__ if isinstance(error, ImportError) and error.__cause__ else error
    return HubError(f"unexpected {type(cause).__name__}: {cause}", hint=hint, code="internal")
