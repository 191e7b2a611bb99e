"""`hub completion`: tab completion for bash, zsh and fish."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from hub.cli import output
from hub.errors import UsageError

app = App(name="completion", help="Tab completion for your shell.")

Shell = Annotated[Literal["bash", "zsh", "fish"] | None, Parameter(help="The shell; found out without it.")]


@app.command
def install(*, shell: Shell = None) -> None:
    """Install completion for your shell."""
    from hub.cli.app import build

    try:
        place = build().install_completion(shell=shell)
    except RuntimeError as error:
        raise UsageError(f"{error}", hint="Name it: hub completion install --shell bash") from None
    output.say(f"Completion is installed in {place}. Open a new shell to use it.")


@app.command
def show(*, shell: Shell = None) -> None:
    """Print the completion script."""
    from hub.cli.app import build

    try:
        print(build().generate_completion(shell=shell))
    except RuntimeError as error:
        raise UsageError(f"{error}", hint="Name it: hub completion show --shell bash") from None
