"""One request as it came in: exact bytes, every header, and what can be read from them on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

from hub.types import Json
from hub.webhooks.body import MAX_FIELDS, BodyError, parse_form, parse_json

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class WebhookRequest:
    """A request. `url` is the public URL as the provider knows it, never built from the request's Host."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a header, whatever its case; two values mean the header came twice."""
        return self._by_name.get(name.lower(), ())

    def first(self, name: str) -> str | None:
        """The first value of a header, or None."""
        values = self.all(name)
        return values[0] if values else None

    def query_values(self, name: str) -> tuple[str, ...]:
        """Every value of a query parameter; none when the query cannot be read."""
        return tuple(value for key, value in self._query if key == name)

    @property
    def is_form(self) -> bool:
        """Whether the content type says URL-encoded form."""
        return (self.first("content-type") or "").partition(";")[0].strip().lower() == FORM

    @cached_property
    def json(self) -> Json:
        """The parsed body; for a form, its `payload` field (GitHub's form deliveries). Raises BodyError."""
        if not self.is_form:
            return parse_json(self.body)
        if "payload" not in self.form:
            raise BodyError("the form has no field named payload")
        return parse_json(self.form["payload"].encode("utf-8", "replace"))

    @cached_property
    def form(self) -> Mapping[str, str]:
        """The fields of an URL-encoded body. Raises BodyError."""
        return parse_form(self.body)

    @cached_property
    def _by_name(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name, value in self.headers:
            key = name.lower()
            found[key] = (*found[key], value) if key in found else (value,)
        return found

    @cached_property
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
