"""Problems of the API, turned back into the errors they were raised as."""

from __future__ import annotations

from typing import Any

import httpx2

from hub import errors
from hub.errors import HubError

_BY_STATUS: dict[int, type[HubError]] = {
    400: errors.UsageError,
    401: errors.AuthenticationError,
    403: errors.PermissionError_,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    413: errors.UsageError,
    421: errors.UsageError,
    422: errors.UsageError,
    429: errors.UnavailableError,
    502: errors.UnavailableError,
    503: errors.UnavailableError,
    504: errors.UnavailableError,
}


def error_of(response: httpx2.Response) -> HubError:
    """The error that an answer with a failing status stands for."""
    document = _document(response)
    code = str(document.get("code", ""))
    detail = str(document.get("detail") or f"the hub answered {response.status_code}")
    known = {"type", "title", "status", "code", "detail", "hint"}
    fields = {name: value for name, value in document.items() if name not in known}
    kind = _by_code().get(code) or _BY_STATUS.get(response.status_code, HubError)
    return kind(_with_faults(detail, fields), hint=str(document.get("hint", "")), code=code or None, **fields)


def _document(response: httpx2.Response) -> dict[str, Any]:
    try:
        document = response.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _with_faults(detail: str, fields: dict[str, Any]) -> str:
    faults = fields.get("errors")
    if not isinstance(faults, list) or len(faults) < 2:
        return detail
    told = [fault for fault in faults if isinstance(fault, dict)]
    return "\n".join(f"{fault.get('location')}: {fault.get('message')}" for fault in told)


def _by_code() -> dict[str, type[HubError]]:
    """Every class of the tree under its code; the first of a code wins, which is the more general one."""
    found: dict[str, type[HubError]] = {}
    line: list[type[HubError]] = [HubError]
    while line:
        kind = line.pop(0)
        if kind.__module__ == errors.__name__:  # not the ones of other modules, whose arguments differ
            found.setdefault(kind.code, kind)
        line.extend(kind.__subclasses__())
    return found
