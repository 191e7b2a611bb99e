"""What a flow can do on GitHub. A task that is tried again finds what its last try has made, and makes nothing twice.

What a task makes bears the call's idempotency key: as a comment that GitHub does not show, or in a field that is meant
for it. Only a try after the first one looks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal
from urllib.parse import quote

from hub import connection, runtime_context, task
from hub.errors import UsageError
from pydantic import JsonValue

from hub_plugins.github.client import Client
from hub_plugins.github.settings import GitHub

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_LOOK_BACK = timedelta(days=1)
_PAGE = 100
_OURS = "hubspoke"
"""What a check of the hub is known by, among those of the same name that other apps have set."""
Conclusion = Literal["success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"]

_tried_again = partial(
    task, retries=4, retry_delay_seconds=(2, 10, 60, 300), retry_jitter_factor=0.5,
    retry_on=("rate_limited", "infrastructure", "timeout"),
)  # fmt: skip


@_tried_again(name="github-create-issue")
def create_issue(
    repository: str, title: str, body: str = "", labels: Sequence[str] = (), assignees: Sequence[str] = (),
    *, connection: str = "github",
) -> dict[str, Any]:  # fmt: skip
    """Open an issue; gives its `number` and `url`. Raises GitHubError."""
    client, base, mark = _client(connection), _base(repository), _mark()
    if mark.looks:
        newest = client.request(
            "GET", f"{base}/issues", state="all", sort="created", direction="desc", per_page=_PAGE, since=mark.since
        )
        made = mark.among(newest)
        if made is not None:
            return _issue(made)
    given = {"title": title, "body": mark.put(body), "labels": list(labels), "assignees": list(assignees)}
    return _issue(client.request("POST", f"{base}/issues", given))


@_tried_again(name="github-comment")
def comment(repository: str, number: int, body: str, *, connection: str = "github") -> dict[str, Any]:
    """Comment on an issue or a pull request; gives the comment's `id` and `url`. Raises GitHubError."""
    client, mark = _client(connection), _mark()
    path = f"{_base(repository)}/issues/{int(number)}/comments"
    made = None
    if mark.looks:
        made = mark.among(client.request("GET", path, per_page=_PAGE, since=mark.since))
    made = made or client.request("POST", path, {"body": mark.put(body)})
    return {"id": made["id"], "url": made["html_url"]}


@_tried_again(name="github-set-check")
def set_check(
    repository: str, sha: str, name: str, conclusion: Conclusion | None = None, *, title: str = "", summary: str = "",
    details_url: str = "", connection: str = "github",
) -> dict[str, Any]:  # fmt: skip
    """Show a check at a commit, under way or with its conclusion; the same name at the same commit is set anew.

    Gives the check run's `id` and `url`. GitHub lets only Apps write checks. Raises GitHubError.
    """
    client, base = _client(connection), _base(repository)
    given: dict[str, Any] = {"name": name, "external_id": _OURS}
    given |= {"status": "in_progress"} if conclusion is None else {"status": "completed", "conclusion": conclusion}
    if title or summary:
        given["output"] = {"title": title or name, "summary": summary}
    if details_url:
        given["details_url"] = details_url
    path = f"{base}/commits/{quote(sha, safe='')}/check-runs"
    found = client.request("GET", path, check_name=name, filter="latest", per_page=_PAGE)
    known = next((run for run in found["check_runs"] if run["external_id"] == _OURS), None)
    if known is None:
        made = client.request("POST", f"{base}/check-runs", {**given, "head_sha": sha})
    else:
        made = client.request("PATCH", f"{base}/check-runs/{known['id']}", given)
    return {"id": made["id"], "url": made["html_url"]}


@_tried_again(name="github-create-release")
def create_release(
    repository: str, tag: str, name: str = "", notes: str = "", *, target: str = "", draft: bool = False,
    prerelease: bool = False, connection: str = "github",
) -> dict[str, Any]:  # fmt: skip
    """Make a release of a tag, and the tag where there is none; gives its `id`, `url` and `tag`. Raises GitHubError."""
    client, mark = _client(connection), _mark()
    path = f"{_base(repository)}/releases"
    made = mark.among(client.request("GET", path, per_page=_PAGE)) if mark.looks else None
    if made is None:
        given = {
            "tag_name": tag, "name": name or tag, "body": mark.put(notes), "draft": draft, "prerelease": prerelease,
        }  # fmt: skip
        made = client.request("POST", path, given | ({"target_commitish": target} if target else {}))
    return {"id": made["id"], "url": made["html_url"], "tag": made["tag_name"]}


@_tried_again(name="github-dispatch-workflow")
def dispatch_workflow(
    repository: str, workflow: str, ref: str = "main", inputs: Mapping[str, str] | None = None,
    *, connection: str = "github",
) -> None:  # fmt: skip
    """Start a workflow of GitHub Actions, by its file name or id. GitHub gives no way to tell whether a try that was
    cut off has started it: a second one may start it again. Raises GitHubError.
    """
    path = f"{_base(repository)}/actions/workflows/{quote(str(workflow), safe='')}/dispatches"
    _client(connection).request("POST", path, {"ref": ref, "inputs": dict(inputs or {})})


@_tried_again(name="github-dispatch-event")
def dispatch_event(
    repository: str, event_type: str, payload: Mapping[str, JsonValue] | None = None, *, connection: str = "github"
) -> None:
    """Tell a repository's workflows of an event of yours (`on: repository_dispatch`); see `dispatch_workflow`."""
    given = {"event_type": event_type, "client_payload": dict(payload or {})}
    _client(connection).request("POST", f"{_base(repository)}/dispatches", given)


class _Mark:
    """What a task run leaves on what it makes, so that its next try knows it."""

    def __init__(self, key: str | None, *, looks: bool) -> None:
        self._text = f"<!-- hubspoke:{key} -->" if key else ""
        self.looks = looks and bool(key)
        self.since = (datetime.now(UTC) - _LOOK_BACK).strftime("%Y-%m-%dT%H:%M:%SZ")

    def put(self, body: str) -> str:
        return f"{body}\n\n{self._text}".strip() if self._text else body

    def among(self, found: Any) -> dict[str, Any] | None:
        return next((one for one in found or () if self._text in (one.get("body") or "")), None)


def _mark() -> _Mark:
    context = runtime_context()
    if context is None:
        return _Mark(None, looks=False)
    return _Mark(
        context.idempotency_key if context.task_run_id else None, looks=context.attempt > 1 or context.task_attempt > 1
    )


def _client(name: str) -> Client:
    return Client(connection(name).settings_as("github", GitHub))


def _base(repository: str) -> str:
    if not _REPOSITORY.fullmatch(repository) or any(part.strip(".") == "" for part in repository.split("/")):
        raise UsageError(
            f"{repository[:100]!r} is no repository", hint="Write OWNER/NAME, such as octocat/hello-world."
        )
    return f"/repos/{repository}"


def _issue(made: Mapping[str, Any]) -> dict[str, Any]:
    return {"number": made["number"], "url": made["html_url"]}
