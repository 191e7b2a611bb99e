"""A rule of the level silver: what is done at a service is done once, whatever the number of tries.

The service is the author's to bring: `tests/trials.py` of the project holds a trial for each such action.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.actions import Action
from hub.errors import TransientError
from hub.sdk.flows import flow
from hub.sdk.tasks import task
from hub.testing.conformance.rules import Broken, NotHere
from hub.testing.conformance.subject import Subject
from hub.testing.kit import Hub, harness
from hub.testing.trials import Trial, Trials

PLACE = "tests/trials.py"
TRIES = 3


def actions_are_done_once(subject: Subject) -> None:
    """C08: Its actions say what one more try does, and one of `effect="once"` is done once in three tries."""
    actions: list[Action] = subject.each("hub_actions", Action)
    unsaid = [action.name for action in actions if action.effect is None]
    if unsaid:
        raise Broken(
            f"the action {unsaid[0]} does not say what one more try does: give its Action an `effect`, none, once or"
            " again"
        )
    once = [action for action in actions if action.effect == "once"]
    if not once:
        raise NotHere("no action of it says that it is done once")
    if subject.folder is None:
        raise NotHere(f"{PLACE} is in its project: `hub plugins check PATH` looks at it")
    with _trials(subject.folder) as trials:
        for action in once:
            _try(subject, action, trials)


def _try(subject: Subject, action: Action, trials: Trials) -> None:
    name = f"{subject.point.name}.{action.name}"
    if name not in trials:
        raise Broken(f"{PLACE} has no trial of {name}, which says that it is done once: add one, or say effect='again'")
    where = ("127.0.0.0/8", "::1/128")
    with (
        harness(plugins=f"only:{subject.point.name}", outbound_networks=list(where)) as kit,
        trials[name](kit) as trial,
    ):
        before = trial.effects()
        tries = _again_and_again(kit, action, trial)
        done = trial.effects() - before
    if tries != TRIES:
        raise Broken(f"{name} was not tried again: its trial ends after {tries} of {TRIES} tries")
    if done != 1:
        raise Broken(
            f"{name} says that it is done once, and was done {done} times in {TRIES} tries: send the service"
            " `runtime_context().idempotency_key`, or look for what an earlier try has made"
        )


def _again_and_again(kit: Hub, action: Action, trial: Trial) -> int:
    """Call the action until it has been done, and its answer was lost each time but the last; gives the tries."""
    tries: list[Any] = []

    @task(name="tried", retries=TRIES - 1)
    def tried() -> None:
        given = action.task.fn(**trial.arguments)
        if inspect.iscoroutine(given):
            asyncio.run(given)
        tries.append(None)
        if len(tries) < TRIES:
            raise TransientError("the answer was lost")

    @flow(name="conformance")
    def trying() -> None:
        tried()

    run = kit.submit(trying)
    if not run.ok:
        raise Broken(f"the trial of {action.name} fails: {run.error_message}")
    return len(tries)


@contextmanager
def _trials(folder: Path) -> Iterator[Trials]:
    """What the project's file holds; it finds what lies beside it, and what is in the project."""
    path = folder / PLACE
    if not path.is_file():
        raise Broken(f"it has no {PLACE}: write TRIALS there, a trial for each action that says it is done once")
    spec = importlib.util.spec_from_file_location("hub_trials", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    paths = [str(path.parent), str(folder)]
    sys.path[:0] = paths
    try:
        try:
            spec.loader.exec_module(module)
        except ImportError as error:
            raise Broken(f"{PLACE} cannot be imported: {error}") from None
        found = getattr(module, "TRIALS", None)
        if not isinstance(found, Mapping):
            raise Broken(f"{PLACE} has no TRIALS: a dictionary of PLUGIN.ACTION and a function that gives a trial")
        yield found
    finally:
        for one in paths:
            sys.path.remove(one)
