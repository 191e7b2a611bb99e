"""A small CI that GitHub starts: every push is checked, every workflow run that failed is reported.

    hub deploy examples/github_ci.py:github_ci --name github-ci
    hub webhooks create ci --preset github
    hub automations create ci --on github.push --on github.workflow_run --run github-ci ...

The flow fails when GitHub says that a workflow run failed, so that whoever watches the hub hears of it.
"""

from __future__ import annotations

from hub import flow, get_run_logger, runtime_context, task


class WorkflowFailed(Exception):
    """GitHub reported a workflow run that did not succeed."""


@task(retries=2, retry_delay_seconds=0.2, retry_on=ConnectionError)
def check_out(repository: str, commit: str) -> str:
    """Get the sources. The mirror of this example is busy the first time anybody asks, so this is retried."""
    context = runtime_context()
    if context is not None and context.task_attempt == 1:
        raise ConnectionError(f"the mirror of {repository} is busy")
    return f"{repository}@{commit[:7]}"


@task
def run_check(sources: str, name: str) -> str:
    """One check of the sources."""
    get_run_logger().info("%s: %s passed", sources, name)
    return f"{name}: passed"


@task
def judge(workflow: str, conclusion: str) -> None:
    """Raise when a workflow run ended other than well."""
    if conclusion not in ("success", "neutral", "skipped"):
        raise WorkflowFailed(f"workflow {workflow!r} ended with {conclusion}")


@flow
def github_ci(repository: str, commit: str, workflow: str = "", conclusion: str = "") -> list[str]:
    """Check a push; judge a workflow run when there is one."""
    log = get_run_logger()
    log.info("%s at %s", repository, commit[:7])
    if workflow and not conclusion:
        log.info("workflow %s has not ended yet", workflow)
        return []
    if conclusion:
        judge(workflow, conclusion)
        return [f"{workflow}: {conclusion}"]
    sources = check_out(repository, commit)
    return run_check.map([sources] * 3, ["lint", "types", "tests"]).result()
