"""`file:/PATH`: a file of the machine that needs the secret, as Docker, Kubernetes and systemd hand them out."""

from __future__ import annotations

from pathlib import Path

from hub.errors import UnavailableError
from hub.references import MAX_SECRET

from hub_plugins.secrets.settings import PREFIX, Settings


def resolve(text: str, settings: Settings) -> str:
    """What stands in the file, without the line's end. Raises UnavailableError."""
    try:
        path = Path(text).resolve()  # links lead where they lead: Kubernetes changes secrets by them
        folders = [folder.resolve() for folder in settings.files]
        if not any(path.is_relative_to(folder) for folder in folders):
            allowed = ", ".join(map(str, settings.files)) or "none"
            raise UnavailableError(f"the file {text} may not be read: {PREFIX}FILES allows {allowed}")
        with path.open(encoding="utf-8") as file:
            value = file.read(MAX_SECRET + 1)
    except UnicodeDecodeError:
        raise UnavailableError(f"the file {text} is no text") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no path"
        raise UnavailableError(f"the file {text} cannot be read: {why}") from None
    if not value.strip("\r\n") or len(value) > MAX_SECRET:
        raise UnavailableError(f"the file {text} is empty, or larger than {MAX_SECRET} characters")
    return value.rstrip("\r\n")
