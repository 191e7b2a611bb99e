"""The kind of connection and the actions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hub.connections import ConnectionKind
from hub.errors import PermanentError, TransientError
from hub.hookspecs import hookimpl

from hub_plugins.github.settings import GitHub

if TYPE_CHECKING:
    from hub.actions import Action


def check(settings: GitHub) -> str:
    """Ask GitHub what is left of the credential's requests, which costs none."""
    from hub_plugins.github.client import Client, GitHubError  # noqa: PLC0415 - few processes ask

    try:
        core = Client(settings).request("GET", "/rate_limit")["resources"]["core"]
        return f"GitHub takes it; {core['remaining']} of {core['limit']} requests are left this hour"
    except GitHubError as error:
        permanent = error.status in (401, 404) or (error.status is None and error.error_class is None)
        raise (PermanentError if permanent else TransientError)(str(error)) from None
    except (KeyError, TypeError):
        raise PermanentError("what answers is not GitHub's API") from None


@hookimpl
def hub_connection_kinds() -> Iterator[ConnectionKind]:
    """Give the kind `github`."""
    yield ConnectionKind("github", "GitHub, with a token or as a GitHub App.", GitHub, check)


@hookimpl
def hub_actions() -> Iterator[Action]:
    """Give what a flow can do on GitHub."""
    from hub.actions import Action  # noqa: PLC0415 - loaded where actions are asked for

    from hub_plugins.github import tasks  # noqa: PLC0415

    yield Action("create_issue", tasks.create_issue, "Open an issue.", effect="once")
    yield Action("comment", tasks.comment, "Comment on an issue or a pull request.", effect="once")
    yield Action("set_check", tasks.set_check, "Show a check at a commit.", effect="once")
    yield Action("create_release", tasks.create_release, "Make a release of a tag.", effect="once")
    yield Action("dispatch_workflow", tasks.dispatch_workflow, "Start a workflow of GitHub Actions.", effect="again")
    yield Action("dispatch_event", tasks.dispatch_event, "Tell a repository's workflows of an event.", effect="again")
