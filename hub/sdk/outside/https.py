"""`hub.http`: an HTTP request as a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, Unpack

from hub.errors import UsageError
from hub.sdk.options import TaskOptions
from hub.sdk.outside import making
from hub.sdk.outside.making import MIB
from hub.sdk.outside.templates import Piece, Template, names_in, parsed
from hub.sdk.tasks import Task

Output: TypeAlias = Literal["json", "text", "bytes", "response"]
OUTPUTS = ("json", "text", "bytes", "response")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_RETURNS = {"text": str, "bytes": bytes, "response": dict[str, Any]}


@dataclass(frozen=True, slots=True)
class Http:
    """A request. In `params`, `json` and `data` every text is a template."""

    method: str
    url: Template
    params: Any
    headers: tuple[tuple[str, Template], ...]
    json: Any
    data: Any
    connection: str | None
    expected: tuple[int, ...]
    """Status codes that are fine; empty: 200 to 299."""
    status_classes: tuple[tuple[int, str], ...]
    timeout: float | None
    follow_redirects: bool
    idempotency_key: bool
    output: str
    max_body: int


def http(
    url: str, *, method: str = "GET", params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None,
    json: Any = None, data: str | Mapping[str, Any] | None = None, connection: str | None = None,
    expected: int | Sequence[int] = (), status_classes: Mapping[int, str] | None = None, timeout: float | None = None,
    follow_redirects: bool = False, idempotency_key: bool = False, output: Output = "json", max_body: int = 16 * MIB,
    defaults: Mapping[str, Any] | None = None, **options: Unpack[TaskOptions],
) -> Task[..., Any]:  # fmt: skip
    """A task that makes an HTTP request: `order = http("https://shop.example/orders/{id}")`, called as `order(id=7)`.

    Placeholders in `url`, `params`, `headers`, `json` and `data` are the task's parameters, `defaults` gives values to
    some. In the URL a value is percent-encoded; in `params`, `json` and a form in `data` a text that is nothing but
    a placeholder stands for the value itself. With `connection`, the name of one of the kind `http`, `url` is a path of
    that service, and its credential is sent. `expected` are the status codes that are fine (else 200 to 299); others
    raise RequestFailed: 429 is `rate_limited`, 408 and 504 `timeout`, other 5xx `infrastructure`, the rest
    `user_error`, unless `status_classes` says otherwise. `timeout` seconds
    (30, or the connection's own) may pass without a sign of the other side.
    Redirects are errors unless `follow_redirects` (five at most). `idempotency_key` sends the header Idempotency-Key,
    the same in every try. `output`: the body as `json`, `text` or `bytes`, or `response`: a dict of status, headers and
    text. A body over `max_body` bytes fails the task. All options of `@task` are taken as well. Raises UsageError.
    """
    if json is not None and data is not None:
        raise UsageError("http takes json or data, not both")
    spec = Http(
        making.one_of("method", str(method).upper(), METHODS), _address(url, connection), _tree(params, "params"),
        tuple((str(name), parsed(value, f"headers[{name!r}]")) for name, value in (headers or {}).items()),
        _tree(json, "json"), _tree(data, "data"), connection, _statuses(expected),
        making.classes("status_classes", status_classes),
        making.seconds("timeout", timeout, most=3600.0) if timeout is not None else None,
        bool(follow_redirects), bool(idempotency_key), making.one_of("output", output, OUTPUTS),
        making.size("max_body", max_body),
    )  # fmt: skip
    templates = [spec.url, *_templates(spec.params), *(value for _, value in spec.headers)]
    templates += [*_templates(spec.json), *_templates(spec.data)]
    return making.made(
        spec, default_name=spec.method.lower(), summary=f"{spec.method} {url.partition('?')[0][:300]}",
        names=names_in(templates), defaults=defaults, returns=_RETURNS.get(output, Any), options=options,
    )  # fmt: skip


def _address(url: str, connection: str | None) -> Template:
    found = parsed(url, "url")
    absolute = url.startswith(("http://", "https://"))
    if connection is None and not absolute:
        raise UsageError(f"url {url!r} is no address", hint="Begin it with https://, or name a connection.")
    if connection is not None and not url.startswith("/"):
        hint = "Its credential goes nowhere else: write a path such as '/orders/{id}'."
        raise UsageError(f"url {url!r} is not a path of connection {connection!r}", hint=hint)
    return found


def _statuses(given: int | Sequence[int]) -> tuple[int, ...]:
    found = (given,) if isinstance(given, int) else tuple(given)
    if not all(isinstance(status, int) and 100 <= status <= 599 for status in found):
        raise UsageError(f"expected={given!r} are not HTTP status codes")
    return found


def _tree(value: Any, where: str) -> Any:
    """A JSON tree whose texts are templates: tuples stand for those, lists for lists."""
    if isinstance(value, str):
        return parsed(value, where)
    if isinstance(value, Mapping):
        return {str(key): _tree(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item, where) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    raise UsageError(f"{where} holds a {type(value).__name__}", hint="Write what JSON can carry, and placeholders.")


def _templates(tree: Any) -> Iterator[tuple[Piece, ...]]:
    if isinstance(tree, tuple):
        yield tree
    elif isinstance(tree, dict | list):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from _templates(item)
