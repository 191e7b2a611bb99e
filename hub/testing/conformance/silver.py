"""Rules of the level silver: what it does at a service can be relied on, and somebody looks after it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import PydanticUserError, TypeAdapter
from sqlalchemy import select

from hub.actions import Action
from hub.errors import HubError, PermanentError, TransientError
from hub.plugins import load_plugins
from hub.runtime import parameters
from hub.sdk.flows import flow
from hub.store import events, runs
from hub.store.base import Store
from hub.store.tables import metadata
from hub.testing.conformance import secrecy, timeouts
from hub.testing.conformance.rules import Broken, NotHere
from hub.testing.conformance.subject import Subject
from hub.testing.kit import harness


def actions_speak_json(subject: Subject) -> None:
    """C07: Every parameter of its actions, and what they give, has a type hint that can be written as JSON schema."""
    actions: list[Action] = subject.each("hub_actions", Action)
    if not actions:
        raise NotHere("it has no action")
    for action in actions:
        signature, where = inspect.signature(action.task.fn), f"the action {action.name}"
        bare = [name for name, one in signature.parameters.items() if one.annotation is inspect.Parameter.empty]
        if bare:
            raise Broken(f"{where} has no type hint for {', '.join(bare)}: forms and checks are made of them")
        if signature.return_annotation is inspect.Signature.empty:
            raise Broken(f"{where} does not say what it gives: write -> TYPE, or -> None")
        try:
            parameters.schema(action.task)
            given: TypeAdapter[Any] = TypeAdapter(typing.get_type_hints(action.task.fn)["return"])
            given.json_schema(mode="serialization")
        except (HubError, PydanticUserError, NameError, TypeError) as error:
            said = " ".join(str(error).split())[:200]
            raise Broken(f"{where} takes or gives something that is no JSON ({said}): use a pydantic model") from None


def nothing_waits_for_ever(subject: Subject) -> None:
    """C10: Its source has no call of a usual network client without a timeout."""
    sources = sorted(Path(str(subject.module.__file__)).parent.rglob("*.py"))
    found = [place for path in sources for place in timeouts.missing(path)]
    if found:
        raise Broken(f"{found[0]} waits for ever when nobody answers: give it a timeout")


def failures_say_whether_to_try_again(subject: Subject) -> None:
    """C11: When nobody answers, its connections and channels raise TransientError or PermanentError, nothing else."""
    tried = False
    for what, call in _reaching(subject):
        tried = True
        error = secrecy.heard(call).error
        if error is not None and not isinstance(error, TransientError | PermanentError):
            raise Broken(
                f"{what} raises {type(error).__name__} when nobody answers: raise hub.errors.TransientError where a"
                " later try may help, PermanentError where none does"
            )
    if not tried:
        raise NotHere("it reaches no service by a connection or a channel")


def _reaching(subject: Subject) -> list[tuple[str, Any]]:
    from hub.channels import Outgoing  # noqa: PLC0415 - only here

    found: list[tuple[str, Any]] = []
    if subject.has("hub_connection_kinds"):
        kinds = [kind for kind in subject.connections if kind.check is not None]
        found += [
            (f"the check of {kind.name}", partial(kind.check, secrecy.nobodys(kind))) for kind in kinds if kind.check
        ]
    if subject.has("hub_channel_kinds"):
        for channel in subject.channels:
            message = Outgoing(secrecy.address_of(channel), "A title", "A text", ident="conformance", key="conformance")
            found.append((f"{channel.scheme}://", partial(channel.send, message)))
    return found


@flow(name="conformance")
def _a_flow() -> int:
    return 1


def told_twice_is_told_once(subject: Subject) -> None:
    """C15: A transition that its hub_run_state is told a second time raises nothing and changes nothing in the hub."""
    if not subject.has("hub_run_state"):
        raise NotHere("it has no hub_run_state")
    name = subject.point.name
    with harness(plugins=f"only:{name}") as kit:
        where = subject.manifest.runs_in[0]
        loaded = load_plugins(
            kit.settings, process=where, store=kit.store, found=[subject.point], stored=subject.configured()
        )
        run_id = kit.submit(_a_flow).id
        with kit.store.read() as tx:
            run = runs.by_ids(tx, {run_id})[run_id]
            told = [event for event in events.after(tx, seq=0, limit=100) if event["type"].startswith("hub.run.")]
        for number in ("first", "second"):
            before = _everything(kit.store)
            for event in told:
                for result in loaded.hooks.run_state(event=event, run=run):
                    if not result.ok:
                        raise Broken(
                            f"hub_run_state fails when it is told {event['type']} a {number} time: {result.error}"
                        )
        changed = sorted(name for name, rows in _everything(kit.store).items() if rows != before[name])
        if changed:
            raise Broken(
                f"hub_run_state changes {', '.join(changed)} when it is told the same transition again, and it may be:"
                " the event's id tells whether it has been seen"
            )


def _everything(store: Store) -> Mapping[str, list[str]]:
    with store.read() as tx:
        return {name: [repr(row) for row in tx.conn.execute(select(table))] for name, table in metadata.tables.items()}


def somebody_looks_after_it(subject: Subject) -> None:
    """MAINTAINER: Its project names an author or a maintainer."""
    told = subject.distribution.metadata
    if not any(told.get_all(header) for header in ("Author", "Author-email", "Maintainer", "Maintainer-email")):
        raise Broken('nobody is named: write authors = [{name = "..."}] or maintainers in pyproject.toml')


def changes_are_written_down(subject: Subject) -> None:
    """CHANGELOG: Its project has a CHANGELOG.md, or a link to one."""
    links = subject.distribution.metadata.get_all("Project-URL") or []
    linked = any(link.lower().startswith(("changelog", "changes", "release notes")) for link in links)
    path = subject.folder / "CHANGELOG.md" if subject.folder is not None else None
    if not linked and (path is None or not path.is_file() or not path.read_text("utf-8").strip()):
        raise Broken("nowhere is said what changed: write CHANGELOG.md, or a URL named Changelog in pyproject.toml")
