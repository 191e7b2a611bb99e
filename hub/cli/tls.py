"""`hub tls`: a certificate of one's own for a local network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.output import AsJson
from hub.settings import load_settings

app = App(name="tls", help="A certificate of one's own for a local network.")


@app.command
def create(
    *names: Annotated[str, Parameter(help="Names and addresses people reach this hub by; none: this machine's.")],
    days: Annotated[int, Parameter(help="Days the certificate is good for.")] = 397,
    folder: Annotated[Path | None, Parameter(help="Where the files go; none: tls in the hub's home.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a certificate, and an authority that signs it. Again, it makes a new certificate by the same authority."""
    from hub.runtime.certificates import make

    made = make(folder or load_settings().home / "tls", names, days=days)
    if as_json:
        output.print_json({**{name: str(path) for name, path in made.files.items()}, "names": list(made.names)})
        return
    output.say(f"A certificate for {', '.join(made.names)}, good for {days} days. Serve with it:")
    print(f"hub up --host 0.0.0.0 --tls-cert {made.files['cert']} --tls-key {made.files['key']}")
    output.say(
        f"Other machines trust it once they know {made.files['ca']}: browsers import it, commands of hub take it"
    )
    output.say(f"as HUB_API_CA. Keep {made.files['ca_key']} to yourself: who has it can make certificates they trust.")
