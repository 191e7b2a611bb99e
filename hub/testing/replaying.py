"""The code of a flow against a recorded run: what tasks gave then they give now, and none of them runs."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import copy
import json
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from hub import errors
from hub.errors import HubError, NotFoundError, ParameterError, UsageError
from hub.runtime import inline, parameters, recording
from hub.runtime.executor import flowlife, results
from hub.runtime.executor.flowlife import FlowCall
from hub.runtime.executor.flowrecord import Unrecorded
from hub.runtime.executor.keeping import hint_of
from hub.runtime.executor.places import Places
from hub.runtime.executor.results import Stored, Unreadable
from hub.runtime.executor.root import Root
from hub.runtime.executor.steps import Life, drive, drive_on_loop
from hub.runtime.executor.streams import stream, stream_on_loop
from hub.runtime.executor.tasklife import Call
from hub.runtime.executor.triggers import SKIPPED
from hub.runtime.journal import Known, NoJournal
from hub.sdk.context import FlowInfo
from hub.sdk.flows import Flow
from hub.sdk.retries import NEVER
from hub.sdk.runners import CeleryTaskRunner
from hub.states import State, StateType
from hub.testing.kit import at_hand
from hub.testing.records import Run
from hub.testing.works import SCOPE
from hub.types import Id

_ENDED_BY_ITSELF = ("COMPLETED", "FAILED")
_ID_CHARS = 36


class RecordedFailure(Exception):
    """What a task raised then, where the class of it is not to be found now. `type`: its name."""

    def __init__(self, type: str, message: str) -> None:
        super().__init__(message)
        self.type = type


class Diverged(BaseException):
    """The code came to a step that was not recorded. No `except Exception` of the flow's swallows it."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where the code takes another path.

    `unknown`: it calls a step that was not recorded; `missing`: it no longer calls one that was; `unkept`: the result
    of a step was not kept; `parameters`: it does not take the recorded ones; `end`, `result`: it ends otherwise.
    """

    kind: Literal["unknown", "missing", "unkept", "parameters", "end", "result"]
    step: str
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass
class Replay:
    """What a replay found. `replayed`: how many recorded steps the code came by."""

    run_name: str
    divergences: list[Divergence] = field(default_factory=list)
    replayed: int = 0
    result: Any = None
    error: BaseException | None = None

    @property
    def ok(self) -> bool:
        """Whether the code takes the path that was recorded, to the same end."""
        return not self.divergences

    def check(self) -> None:
        """Raise AssertionError with all divergences, if there are any."""
        if not self.ok:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        if self.ok:
            return f"run {self.run_name} replays: {self.replayed} steps"
        return "\n".join([f"run {self.run_name} does not replay:", *(f"  {found}" for found in self.divergences)])


def replay(
    recorded: Run | Path | str | Mapping[str, Any], flow: Flow[..., Any], *, given: Mapping[str, Any] | None = None
) -> Replay:
    """Run the code of `flow` with what was recorded of a run of it; no task runs, no hook is called.

    `recorded`: a run of the test's hub or its id, or what `hub runs export` wrote, as a file or as JSON. `given`:
    values by the names of task runs, for those whose results were not kept. Raises UsageError for what is no recording,
    NotFoundError.
    """
    document = _document(recorded)
    with at_hand():
        return _Stage(document, flow, dict(given or {})).play()


def _document(recorded: Run | Path | str | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(recorded, Run):
        recorded = recorded.id
    if isinstance(recorded, str) and len(recorded) == _ID_CHARS and "." not in recorded:
        return _of_store(recorded)
    if isinstance(recorded, str | Path):
        try:
            recorded = json.loads(Path(recorded).read_text(encoding="utf-8"))
        except OSError as error:
            raise NotFoundError(f"{recorded} cannot be read: {error.strerror}") from None
        except ValueError:
            raise UsageError(f"{recorded} is not JSON", hint="`hub runs export ID > FILE` writes one.") from None
    if not isinstance(recorded, Mapping) or recorded.get("format") != recording.FORMAT:
        raise UsageError(f"this is not a recorded run ({recording.FORMAT})", hint="`hub runs export ID` writes one.")
    return recorded


def _of_store(run_id: Id) -> Mapping[str, Any]:
    home = inline.home()
    if home.store is None:
        raise UsageError("HUB_JOURNAL=off: there is no store to read a run from", hint="Give the file of an export.")
    places = Places(home.settings.home / "results", home.store, SCOPE)
    try:
        return recording.record(home.store, places, SCOPE, run_id)
    finally:
        places.close()


class _Recorded(dict[str, Known]):
    """The recorded steps by their keys; notes which were asked for."""

    def __init__(self, steps: list[Mapping[str, Any]]) -> None:
        super().__init__((step["key"], _known(step)) for step in steps)
        self.asked: set[str] = set()

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        if found:
            self.asked.add(str(key))
        return found


def _known(step: Mapping[str, Any]) -> Known:
    return Known(step["id"], step["state_type"], step["state_name"], step["version"], step["attempt"])


class _Journal(NoJournal):
    """Knows what was recorded, keeps nothing."""

    def __init__(self, steps: _Recorded, kept: Mapping[Id, Stored]) -> None:
        self._steps = steps
        self._kept = kept

    def known(self, run_id: Id, *, until: Id | None = None) -> dict[str, Known]:  # noqa: ARG002 - the protocol's
        """See Journal.known."""
        return self._steps

    def result(self, task_run_id: Id) -> Stored:
        """See Journal.result."""
        return self._kept[task_run_id]


class _Stage:
    """One replay."""

    def __init__(self, document: Mapping[str, Any], flow: Flow[..., Any], given: dict[str, Any]) -> None:
        self._run: Mapping[str, Any] = document["run"]
        self._steps: list[Mapping[str, Any]] = document["steps"]
        self._by_key = {step["key"]: step for step in self._steps}
        if isinstance(flow.options.runner, CeleryTaskRunner):
            raise UsageError(
                f"flow {flow.name} has its tasks executed in chunks, whose calls are not recorded as its steps",
                hint="A replay tells of flows that call, submit and map their tasks themselves.",
            )
        self._flow = copy.copy(flow)
        # What was recorded has been retried and told already.
        self._flow.options = replace(flow.options, hooks={}, retry=NEVER, runner=None)
        self._given = given
        self._known = _Recorded(self._steps)
        self._over = False
        self.report = Replay(self._run["name"])
        self._noting = threading.Lock()

    def play(self) -> Replay:
        try:
            values = parameters.from_json(self._flow, self._run["parameters"])
        except ParameterError as error:
            self._note("parameters", "", f"the flow does not take the recorded parameters: {error.detail}")
            return self.report
        kept = {step["id"]: recording.stored(step["result"]) for step in self._steps}
        root = Root(SCOPE, _Journal(self._known, kept))
        root.recording = self
        try:
            self.report.result = self._lived(root, values)
        except Diverged:
            return self._ended(early=True)
        except BaseException as error:  # noqa: BLE001 - compared with what was recorded
            self.report.error = error
        finally:
            root.close()
        self._compare()
        return self._ended(early=self._over)

    def _lived(self, root: Root, values: Mapping[str, Any]) -> Any:
        run, flow = self._run, self._flow
        info = FlowInfo(
            run_id=run["id"], run_name=run["name"], flow_name=run["flow_name"], parameters=dict(values),
            tags=tuple(run["tags"]), deployment_name=run["deployment_name"],
        )  # fmt: skip
        root.run_id = run["id"]
        call = FlowCall(flow, values, Unrecorded(run["id"], SCOPE), root, info, restart_of=run["id"])
        life = flowlife.live(call)
        if flow.is_async:
            with ThreadPoolExecutor(1) as pool:  # whatever loop the caller is on, this one is the flow's own
                return pool.submit(lambda: asyncio.run(self._awaited(life))).result()
        root.ident = threading.get_ident()
        return list(stream(life)) if flow._wrapped.generates else drive(life)

    async def _awaited(self, life: Life) -> Any:
        if not self._flow._wrapped.generates:
            return await drive_on_loop(life)
        return [item async for item in stream_on_loop(life)]

    # --- what the executor asks -------------------------------------------------------------------------------------

    def other(self, call: Call) -> Life:
        """The life of a call whose result is not among the recorded ones: what else is known of it."""
        step = self._by_key.get(call.key)
        if call.name in self._given:
            call.state = State(StateType.COMPLETED, "Completed")
            return self._given[call.name]
        if step is None:
            self.unknown(call.name, call.task_name)
        assert step is not None
        call.state = State(StateType(step["state_type"]), step["state_name"])
        if step["state_name"] == SKIPPED:
            return None
        if step["state_type"] == StateType.COMPLETED.value:
            self._note("unkept", call.name, f"{call.name} was done, but its result was not kept: give it by given=")
            raise Diverged(call.name)
        if step["state_type"] != StateType.FAILED.value:
            self.unknown(call.name, call.task_name)
        raise self._failure(step)
        yield

    def unknown(self, name: str, task_name: str) -> None:
        """Raise Diverged: the code came to a step that was not recorded, or to the end of what was."""
        if self._run["state_type"] not in _ENDED_BY_ITSELF and not self._missing():
            self._over = True
        else:
            others = [step["name"] for step in self._missing() if step["task_name"] == task_name]
            why = f"; recorded with other inputs: {', '.join(others[:3])}" if others else ""
            self._note("unknown", name, f"{name} is called now and was not then{why}")
        raise Diverged(name)

    def _failure(self, step: Mapping[str, Any]) -> Exception:
        """What the task raised, of its own class where that is found."""
        kind, message = step["error_type"] or "Exception", step["error_message"] or ""
        message = message.removeprefix(f"{kind}: ")
        module = sys.modules.get(self._flow._wrapped.module)
        for place in (self._flow._wrapped.fn.__globals__, vars(module) if module else {}, vars(errors), vars(builtins)):
            found = place.get(kind)
            if isinstance(found, type) and issubclass(found, Exception):
                with contextlib.suppress(TypeError):
                    return found(message)
        return RecordedFailure(kind, message)

    # --- what came of it --------------------------------------------------------------------------------------------

    def _compare(self) -> None:
        then, error = self._run["state_type"], self.report.error
        if then not in _ENDED_BY_ITSELF or self.report.divergences:
            return
        if error is not None:
            kind = getattr(error, "type", type(error).__qualname__)
            if then == "COMPLETED":
                self._note("end", "", f"the flow raises {kind} now ({error}) and completed then")
            elif self._run["error_type"] not in (kind, type(error).__qualname__.removeprefix("_")):
                self._note("end", "", f"the flow raises {kind} now and {self._run['error_type']} then")
            return
        if then == "FAILED":
            self._note("end", "", f"the flow completes now and raised {self._run['error_type']} then")
            return
        kept = recording.stored(self._run["result"])
        now = self._encoded()
        if kept.kept and now.kept and now.data != kept.data:
            self._note("result", "", f"the result is {_short(now)} now and was {_short(kept)} then")

    def _encoded(self) -> Stored:
        try:
            options = self._flow.options
            return results.encode(self.report.result, hint_of(self._flow._wrapped), options.result_serializer)
        except (HubError, Unreadable):
            return results.MEMORY

    def _ended(self, *, early: bool) -> Replay:
        self.report.replayed = len(self._known.asked)
        # After a divergence nobody knows what the code would have called.
        if not early:
            for step in self._missing():
                self._note("missing", step["name"], f"{step['name']} was called then and is not called now")
        return self.report

    def _missing(self) -> list[Mapping[str, Any]]:
        """Steps of the flow itself that nobody has asked for. Those within a step came with that."""
        asked = self._known.asked
        return [step for step in self._steps if step["parent_task_run_id"] is None and step["key"] not in asked]

    def _note(self, kind: Any, step: str, message: str) -> None:
        with self._noting:
            self.report.divergences.append(Divergence(kind, step, message))


def _short(stored: Stored) -> str:
    text = (stored.data or b"").decode("utf-8", "replace")
    return text if len(text) <= 100 else f"{text[:100]}..."
