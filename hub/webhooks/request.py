"""One request as it came in: exact bytes, every header, and what can be read from them on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload
from urllib.parse import parse_qsl, urlsplit

from hub.engine.values import quick
from hub.types import Json
from hub.webhooks.body import MAX_FIELDS, BodyError, parse_form, parse_json

FORM = "application/x-www-form-urlencoded"
T = TypeVar("T")


class _Once(Generic[T]):
    """What a request says, read when it is first asked for. functools.cached_property takes a lock in Python 3.11."""

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self._name = read.__name__
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, request: None, owner: object) -> _Once[T]: ...
    @overload
    def __get__(self, request: object, owner: object) -> T: ...
    def __get__(self, request: object | None, owner: object) -> T | _Once[T]:
        if request is None:
            return self
        value = self._read(request)
        # Not by way of `__dict__`: an object that has been asked for it is slower in everything.
        setattr(request, self._name, value)
        return value


@quick
@dataclass(frozen=True)
class WebhookRequest:
    """A request. `url` is the public URL as the provider knows it, never built from the request's Host."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header, whatever its case; two values mean the header came twice."""
        return self.named(name.lower())

    def named(self, name: str) -> tuple[str, ...]:
        """Every value of a header by its name in lower case."""
        value = self._single.get(name)
        if value is not None:
            return (value,)
        return self.by_name.get(name, ()) if len(self._single) < len(self.headers) else ()

    def first(self, name: str) -> str | None:
        """The first value of a header, or None."""
        values = self.all(name)
        return values[0] if values else None

    def query_values(self, name: str) -> tuple[str, ...]:
        """Every value of a query parameter; none when the query cannot be read."""
        return tuple(value for key, value in self._query if key == name)

    @property
    def query_names(self) -> tuple[str, ...]:
        """The names of all query parameters; none when the query cannot be read."""
        return tuple(key for key, _ in self._query)

    @_Once
    def is_form(self) -> bool:
        """Whether the content type says URL-encoded form."""
        return self.media_type == FORM

    @_Once
    def media_type(self) -> str:
        """The content type in lower case, without its parameters."""
        return (self.first("content-type") or "").partition(";")[0].strip().lower()

    @_Once
    def json(self) -> Json:
        """The parsed body; for a form, its `payload` field (GitHub's form deliveries). Raises BodyError."""
        if not self.is_form:
            return parse_json(self.body)
        if "payload" not in self.form:
            raise BodyError("the form has no field named payload")
        return parse_json(self.form["payload"].encode("utf-8", "replace"))

    @_Once
    def form(self) -> Mapping[str, str]:
        """The fields of an URL-encoded body. Raises BodyError."""
        return parse_form(self.body)

    @_Once
    def by_name(self) -> dict[str, tuple[str, ...]]:
        """The values of every header by its name in lower case."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in self.headers:
            key = name.lower()
            found[key] = (*found[key], value) if key in found else (value,)
        return found

    @_Once
    def _single(self) -> dict[str, str]:
        """The values of headers that came once, by their names in lower case; empty where it is not as simple."""
        found = dict(self.headers)
        names = "".join(found)
        return found if len(found) == len(self.headers) and names == names.lower() else {}

    @_Once
    def _query(self) -> tuple[tuple[str, str], ...]:
        try:
            query = urlsplit(self.url).query
            return tuple(parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
        except ValueError:
            return ()


def header_pairs(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Make the header tuple of a WebhookRequest from a mapping or from pairs."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((str(name), str(value)) for name, value in pairs)
