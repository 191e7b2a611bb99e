"""A request for a run, as flow control sees it: its controls with their keys, and what was decided about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from hub.errors import ExpressionError
from hub.runtime.schemas import with_defaults
from hub.store import events, flow_states
from hub.store.base import Tx
from hub.types import SECOND, Id, Micros, Scope

Verdict: TypeAlias = Literal["delayed", "merged", "dropped", "cancelled"]


@dataclass(frozen=True, slots=True)
class Own:
    """The controls of an action of an automation, and what their expressions gave for its event."""

    owner_id: Id = ""
    controls: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    batched: bool | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What flow control made of a request, and why. `run_id`: the run that it has become, or that was cancelled."""

    control: str
    verdict: Verdict
    reason: str
    run_id: Id

    def document(self) -> dict[str, Any]:
        """For an answer."""
        return {"control": self.control, "decision": self.verdict, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Control:
    """A control of a deployment, or of an action of an automation (its `owner_id`), with the key of this request."""

    name: str
    settings: Any
    owner_id: Id
    key: str

    def micros(self, name: str) -> Micros:
        """A duration among the settings."""
        return int(self.settings[name] * SECOND)


@dataclass(slots=True)
class Request:
    """A run that is asked for: its row as it would be, and what was asked beyond the deployment's defaults."""

    tx: Tx
    scope: Scope
    deployment: Mapping[str, Any]
    row: dict[str, Any]
    asked: Mapping[str, Any]
    own: Own = field(default_factory=Own)
    caused_by: Id | None = None
    decisions: list[Decision] = field(default_factory=list)

    @property
    def id(self) -> Id:
        """The id that its run would have."""
        return str(self.row["id"])

    def hold(self, control: Control) -> dict[str, Any]:
        """What a control remembers for the key; nobody else changes it until the commit."""
        return flow_states.hold(self.tx, self.scope, control.owner_id, control.name, control.key)

    def decide(self, control: Control, verdict: Verdict, reason: str, run_id: Id | None = None) -> Decision:
        """Keep a decision, and write its event."""
        made = Decision(control.name, verdict, reason, run_id or self.id)
        self.decisions.append(made)
        tell(self.tx, self.scope, made, self.deployment, key=control.key, origin=self.row["origin"])
        return made


def tell(
    tx: Tx, scope: Scope, decision: Decision, deployment: Mapping[str, Any], *, key: str = "", origin: str = ""
) -> None:
    """Write the event of a decision. `deployment`: its id and name."""
    events.append(
        tx, scope, f"hub.flow_control.{decision.verdict}", subject=decision.run_id, run_id=decision.run_id,
        control=decision.control, deployment_id=deployment["id"], deployment_name=deployment["name"],
        origin=origin, reason=decision.reason, key=key,
    )  # fmt: skip


def controls_of(request: Request) -> dict[str, Control]:
    """The controls that hold for a request; one of the action stands in place of the same of the deployment.

    Raises ExpressionError when a key has no value, UsageError when the two together cannot be combined.
    """
    found = {
        name: Control(name, settings, request.deployment["id"], _key(request, name, settings))
        for name, settings in request.deployment["flow_control"].items()
        if name not in request.own.controls
    }
    own = request.own
    for name, settings in own.controls.items():
        found[name] = Control(name, settings, own.owner_id, own.keys.get(name, ""))
    if own.controls:
        from hub.runtime.commands.controls import check_combination  # noqa: PLC0415 - only where two meet

        check_combination({name: control.settings for name, control in found.items()}, request.deployment)
    return found


def _key(request: Request, name: str, settings: Any) -> str:
    text = settings if isinstance(settings, str) else settings.get("key", "") if isinstance(settings, dict) else ""
    if not text:
        return ""
    from hub.runtime.keys import joined  # noqa: PLC0415 - CEL is loaded where a key needs it

    return joined([value_of(request, f"the key of {name}", text)])


def value_of(request: Request, what: str, text: str) -> Any:
    from hub.runtime import expressions  # noqa: PLC0415 - as above

    try:
        params = with_defaults(request.row["parameters"], request.deployment["parameter_schema"])
        known = {"params": expressions.cel_input(params)}
        return expressions.compile_expression(text, ("params",)).value(known)
    except ExpressionError as error:
        name = request.deployment["name"]
        raise ExpressionError(f"{what} of deployment {name} has no value: {error.detail}", hint=error.hint) from None


def is_batched(request: Request, control: Control) -> bool:
    """Whether a request is put to others, by the `if` of a batch. Raises ExpressionError."""
    if control.owner_id == request.own.owner_id:
        return request.own.batched is not False
    condition = control.settings.get("if")
    if not condition:
        return True
    answer = value_of(request, "the `if` of batch", condition)
    if not isinstance(answer, bool):
        raise ExpressionError(f"{condition!r} gave {type(answer).__name__}, `if` must give true or false")
    return answer
