"""The endpoint layer: one decorator makes a typed function an operation of the API.

    @api.op("POST", "/api/v1/runs", body=RunIn, out=RunOut, status=201, scope="runs:write")
    def create_run(call: Call[RunIn, NoQuery]) -> RunOut: ...

Body and query are validated by pydantic before the function is called; unknown fields are refused. The function
runs in the thread pool. Names in the path are texts; one that ends in `_id` must look like an id, anything else
answers 404.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, Protocol, TypeVar, get_origin
from urllib.parse import parse_qsl

import anyio
from pydantic import BaseModel, TypeAdapter
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hub.errors import HubError, NotFoundError, UsageError
from hub.types import ID_PATTERN, Id, Scope, derived_id, new_id
from hub.web.api.fields import MAX_NAME, NoBody, NoQuery
from hub.web.matrix import Access, Declared
from hub.web.problems import BodyCut, BodyTimeout, BodyTooLarge

B = TypeVar("B")
Q = TypeVar("Q")
F = TypeVar("F", bound=Callable[[Any], Any])

MAX_BODY = 1_048_576
BODY_SECONDS = 20.0
MAX_QUERY = 8192
MAX_FIELDS = 100
_NAME_IN_PATH = re.compile(rf"^[^\x00-\x1f/]{{1,{MAX_NAME}}}$")
_ID_IN_PATH = re.compile(ID_PATTERN)
_KEY = re.compile(r"^[\x21-\x7e]{1,200}$")


class Services(Protocol):
    """What the application puts on `app.state.services` for its operations."""

    @property
    def store(self) -> Any:
        """The open store."""

    def authorize(self, request: Request, needs: str | None) -> Scope:
        """Say where and as whom the request acts; raise if it may not do what needs the scope `needs`."""


@dataclass(frozen=True, slots=True)
class Call(Generic[B, Q]):
    """One call of an operation, validated and authorized."""

    services: Any
    scope: Scope
    path: Mapping[str, str]
    query: Q
    body: B
    command_id: Id
    request: Request

    @property
    def store(self) -> Any:
        """The open store."""
        return self.services.store


@dataclass(frozen=True, slots=True)
class Op:
    """An operation as it is registered."""

    method: str
    path: str
    handler: Callable[[Any], Any]
    scope: str | None
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    out: Any
    status: int
    tag: str
    errors: tuple[type[HubError], ...]
    max_body: int
    media: str
    trusts: str

    @property
    def name(self) -> str:
        """The operation's id: the function's name."""
        return self.handler.__name__

    @property
    def path_names(self) -> list[str]:
        """The names in the path, in order."""
        return re.findall(r"{(\w+)}", self.path)


@dataclass
class Api:
    """A table of operations: Starlette routes on one side, OpenAPI on the other."""

    ops: list[Op] = field(default_factory=list)
    pages: Callable[[], Iterable[BaseRoute]] = tuple
    """Pages of the dashboard for the same things; asked for where there is a dashboard."""

    def op(
        self,
        method: str,
        path: str,
        *,
        scope: str | None,
        body: type[BaseModel] = NoBody,
        query: type[BaseModel] = NoQuery,
        out: Any = None,
        status: int = 200,
        tag: str = "",
        errors: Iterable[type[HubError]] = (),
        max_body: int = MAX_BODY,
        media: str = "application/json",
        trusts: str = "",
    ) -> Callable[[F], F]:
        """Register an operation. `scope` None makes it public, `trusts` says what makes that safe; `out` None answers
        without a body."""

        def register(handler: F) -> F:
            self.ops.append(
                Op(
                    method=method,
                    path=path,
                    handler=handler,
                    scope=scope,
                    body=_model(body, NoBody),
                    query=_model(query, NoQuery),
                    out=None if out is Response else out,
                    status=status,
                    tag=tag or path.split("/")[3],
                    errors=tuple(errors),
                    max_body=max_body,
                    media=media,
                    trusts=trusts,
                )
            )
            return handler

        return register

    def include(self, other: Api) -> None:
        """Take over the operations of another table."""
        self.ops.extend(other.ops)

    def routes(self) -> list[BaseRoute]:
        """One Starlette route a path, so that 405 names every method the path has."""
        by_path: dict[str, dict[str, Op]] = {}
        for op in self.ops:
            if by_path.setdefault(op.path, {}).setdefault(op.method, op) is not op:
                raise ValueError(f"two operations for {op.method} {op.path}")
        # Fixed paths before patterns: /schedules/preview is not a schedule of that name.
        ordered = sorted(by_path.items(), key=lambda item: ("{" in item[0], item[0]))
        return [_route(path, ops) for path, ops in ordered]


def _model(given: type[BaseModel], nothing: type[BaseModel]) -> type[BaseModel] | None:
    return None if given is nothing else given


def _route(path: str, ops: dict[str, Op]) -> Declared:
    async def endpoint(request: Request) -> Response:
        # Starlette sends HEAD wherever it sends GET.
        op = ops["GET" if request.method == "HEAD" else request.method]
        raw = await read_body(request, op.max_body, BODY_SECONDS)
        return await run_in_threadpool(perform, op, request, raw)

    access = {method: Access(op.scope, op.trusts) for method, op in ops.items()}
    return Declared(path, endpoint, access, methods=sorted(ops), name=next(iter(ops.values())).name)


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """Read the body, refusing one over `limit` bytes (413) or not here after `seconds` (408)."""
    if int(request.headers.get("content-length", "0") or 0) > limit:
        raise BodyTooLarge(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        with anyio.fail_after(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise BodyTooLarge(limit)
                chunks.append(chunk)
    except TimeoutError:
        raise BodyTimeout(seconds) from None
    except ClientDisconnect:
        raise BodyCut from None
    return b"".join(chunks)


def perform(op: Op, request: Request, raw: bytes) -> Response:
    """Authorize, validate, call, answer: the life of a call. Runs in the thread pool."""
    services: Services = request.app.state.services
    scope = services.authorize(request, op.scope)
    call: Call[Any, Any] = Call(
        services=services,
        scope=scope,
        path=_path(request),
        query=_query(op, request),
        body=_body(op, raw),
        command_id=_command_id(op, request, scope),
        request=request,
    )
    return _answer(op, op.handler(call))


def _path(request: Request) -> dict[str, str]:
    for name, value in request.path_params.items():
        shape = _ID_IN_PATH if name.endswith("_id") else _NAME_IN_PATH
        if not shape.match(value):
            raise NotFoundError(f"no such {name.removesuffix('_id').replace('_', ' ')}: {value[:60]!r}")
    return dict(request.path_params)


def _query(op: Op, request: Request) -> BaseModel:
    raw: bytes = request.scope["query_string"]
    if len(raw) > MAX_QUERY:
        raise UsageError(f"the query is longer than {MAX_QUERY} bytes")
    try:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise UsageError(f"the query has more than {MAX_FIELDS} parameters") from None
    model = op.query or NoQuery
    return model.model_validate(_gather(model, pairs))


def _gather(model: type[BaseModel], pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Repeated names make a list where the model has one; elsewhere the second is refused."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        info = model.model_fields.get(name)
        if info is not None and get_origin(info.annotation) is list:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise UsageError(f"the query parameter {name!r} is given twice", hint="give it once")
        else:
            values[name] = value
    return values


def _body(op: Op, raw: bytes) -> BaseModel:
    if op.body is None:
        if raw.strip() not in (b"", b"{}"):
            raise UsageError("this operation takes no body", hint="send none, or {}")
        return NoBody()
    # Strict: JSON has types of its own, so 1 is no boolean and "1" no number.
    return op.body.model_validate_json(raw or b"{}", strict=True)


def _command_id(op: Op, request: Request, scope: Scope) -> Id:
    """The same key from the same asker names the same command: a repeat is answered, not done again."""
    keys = request.headers.getlist("idempotency-key")
    if not keys or op.method == "GET":
        return new_id()
    if len(keys) > 1 or not _KEY.match(keys[0]):
        raise UsageError("Idempotency-Key must be 1 to 200 visible ASCII characters, given once")
    place = f"{op.method} {request.url.path}"
    return derived_id(scope.workspace_id, "idempotency", str(scope.actor), place, keys[0])


def _answer(op: Op, value: Any) -> Response:
    if isinstance(value, Response):
        return value
    if op.out is None:
        return Response(status_code=204 if op.status == 200 else op.status)
    kind = adapter(op.out)
    return Response(kind.dump_json(kind.validate_python(value)), op.status, media_type=op.media)


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """What validates and writes answers of that type; built when first needed."""
    return TypeAdapter(kind)
