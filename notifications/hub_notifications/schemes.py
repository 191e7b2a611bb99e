"""The schemes that channels may have, over HTTP: what a form for an address is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from hub.errors import UsageError
from hub.runtime import contributed
from hub.settings import Settings
from hub.web.api.fields import NoBody, NoQuery
from hub.web.api.op import Api, Call
from pydantic import BaseModel, SecretStr

from hub_notifications import forms, places
from hub_notifications.address import LOCAL_ONLY, check_allowed
from hub_notifications.reach import level_of, reach_of

api = Api()
_NONE: Mapping[str, SecretStr] = MappingProxyType({})


class FieldOut(BaseModel):
    """One field of an address."""

    name: str
    label: str
    type: str
    required: bool
    private: bool
    place: str
    default: str
    values: list[str]
    pattern: str
    many: bool


class SchemeRow(BaseModel):
    """A scheme, as a list shows it."""

    scheme: str
    service: str
    attachments: bool
    allowed: bool
    more: str


class SchemeOut(SchemeRow):
    """A scheme with the forms of its addresses and their fields."""

    templates: list[str]
    fields: list[FieldOut]


class SchemeList(BaseModel):
    """Every scheme."""

    items: list[SchemeRow]


@api.op("GET", "/api/v1/channels/schemes", scope="channels:read", out=SchemeList)
def list_schemes(call: Call[NoBody, NoQuery]) -> SchemeList:
    """List the schemes that addresses of channels may have, by name."""
    found = forms.list_schemes(contributed.installed().channels)
    return SchemeList(items=[SchemeRow(**_row(call, one)) for one in found])


@api.op("GET", "/api/v1/channels/schemes/{scheme}", scope="channels:read", out=SchemeOut)
def show_scheme(call: Call[NoBody, NoQuery]) -> SchemeOut:
    """Show how an address of a scheme is made: its forms, and their fields, which may be given instead of it."""
    found = forms.find_scheme(call.path["scheme"], contributed.installed().channels)
    fields = [FieldOut(**{**asdict(one), "values": list(one.values)}) for one in found.fields]
    return SchemeOut(**_row(call, found), templates=list(found.templates), fields=fields)


def allowed_address(
    settings: Settings, address: SecretStr | None, scheme: str | None = None, fields: Mapping[str, SecretStr] = _NONE
) -> SecretStr:
    """The address that is given, whole or by the fields of a scheme, where channels may lead here.

    The one way by which the API and the dashboard come to an address. Raises UsageError, NotFoundError.
    """
    text = _address_of(address, scheme, fields)
    check_allowed(text, reach_of(settings), contributed.installed().channels)
    return SecretStr(text)


def is_allowed(settings: Settings, scheme: str) -> bool:
    """Whether channels of a scheme may be saved here at all; each address is judged once more."""
    named = not settings.alerts_schemes or scheme in settings.alerts_schemes
    home = level_of(settings) != "fixed" or places.hosts_of(scheme) is not None
    return named and home and scheme not in LOCAL_ONLY


def _address_of(address: SecretStr | None, scheme: str | None, fields: Mapping[str, SecretStr]) -> str:
    if (address is None) == (scheme is None) or (fields and scheme is None):
        raise UsageError("a channel has either an address, or a scheme and its fields", hint="Give one of the two.")
    if address is not None:
        return address.get_secret_value().strip()
    found = forms.find_scheme(scheme or "", contributed.installed().channels)
    return forms.build_address(found, {name: value.get_secret_value() for name, value in fields.items()})


def _row(call: Call[Any, Any], found: forms.Scheme) -> dict[str, Any]:
    allowed = is_allowed(call.services.settings, found.scheme)
    return {
        "scheme": found.scheme, "service": found.service, "attachments": found.attachments, "allowed": allowed,
        "more": found.more,
    }  # fmt: skip
