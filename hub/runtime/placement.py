"""Where a plane has a run made: at a site that has some labels, or at one that is named.

One shape for whoever places a run: a person, an automation, a schedule. What chooses the site is the operation
`site.place`, which the plugin `hybrid` brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import or_, select

from hub.errors import ConflictError, NotFoundError, UsageError
from hub.runtime.commands.registry import find
from hub.runtime.labels import MAX_LABELS, check_label
from hub.store.base import Tx
from hub.store.tables import PlaneSite
from hub.types import Scope

OP = "site.place"
_SITES = PlaneSite.__table__


def _are_labels(labels: dict[str, str]) -> dict[str, str]:
    for name, value in labels.items():
        try:
            check_label(name, value)
        except UsageError as error:
            raise ValueError(f"{error.detail}. A name and a value, for example region: berlin") from None
    return labels


Labels: TypeAlias = Annotated[dict[str, str], Field(max_length=MAX_LABELS), AfterValidator(_are_labels)]
SiteName: TypeAlias = Annotated[str, Field(max_length=100, pattern=r"^[^\x00]*$")]


class Placement(BaseModel):
    """At a site that has all these `labels`; `site` (name or id) where it must be that one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    labels: Labels = Field(default_factory=dict)
    site: SiteName = ""

    @model_validator(mode="after")
    def _is_somewhere(self) -> Self:
        if not self.labels and not self.site:
            raise ValueError("it says neither labels nor a site, for example labels: {region: berlin}")
        return self


def check(tx: Tx, scope: Scope, place: Placement | None) -> None:
    """Whether this hub can place runs so, as far as that is known before. Raises ConflictError, NotFoundError.

    Which site has the labels and the deployment shows when a run is placed: sites come and go.
    """
    if place is None:
        return
    _is_plane(tx, scope)
    named = or_(_SITES.c.name == place.site, _SITES.c.id == place.site)
    if place.site and tx.conn.execute(select(_SITES.c.id).where(*_of(scope), named)).first() is None:
        raise NotFoundError(
            f"there is no site {place.site!r} to place runs at", hint="`hub sites ls` lists the sites of this hub."
        )


def _is_plane(tx: Tx, scope: Scope) -> None:
    try:
        find(OP)
    except UsageError:
        hint = "Switch the plugin `hybrid` on: HUB_PLUGINS says which are."
        raise ConflictError(
            "this hub cannot place runs: its plugin `hybrid` is off", hint=hint, code="no-plane"
        ) from None
    if tx.conn.execute(select(_SITES.c.id).where(*_of(scope)).limit(1)).first() is None:
        raise ConflictError(
            "this hub is no plane: no site reports to it, so there is nowhere to place runs",
            hint="Let one in first: `hub sites token` here, then `hub worker --plane URL --label NAME=VALUE` there.",
            code="no-plane",
        )


def _of(scope: Scope) -> tuple[Any, Any]:
    return _SITES.c.workspace_id == scope.workspace_id, _SITES.c.removed_at.is_(None)


def asked(deployment: str, place: Mapping[str, Any], run_id: str, parameters: Any) -> dict[str, Any]:
    """The arguments of the operation that places a run. The same id makes it once."""
    return {"deployment": deployment, **place, "run_id": run_id, "parameters": parameters}
