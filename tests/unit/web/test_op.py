from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hub.errors import ConflictError, HubError
from hub.types import new_id
from hub.web.api.fields import In, Moment, MomentIn, Name, NoBody, NoQuery, Out, Page, PageQuery, Text
from hub.web.api.op import Api, Call
from hub.web.api.openapi import document
from pydantic import Field
from starlette.testclient import TestClient
from tests.unit.web.kit import small_app


class ThingIn(In):
    name: Name
    note: Text = ""
    at: MomentIn | None = None


class ThingOut(Out):
    id: str
    name: str
    at: Moment | None = None


class ThingQuery(PageQuery):
    tag: list[Name] = Field(default_factory=list)
    paused: bool | None = None


def things() -> Api:
    api = Api()

    @api.op("POST", "/api/v1/things", body=ThingIn, out=ThingOut, status=201, scope="things:write")
    def create_thing(call: Call[ThingIn, NoQuery]) -> ThingOut:
        """Make a thing.

        Twice the same name is a conflict.
        """
        if call.body.name == "taken":
            raise ConflictError("there is a thing of that name", hint="choose another", name="taken")
        return ThingOut(id=call.command_id, name=call.body.name, at=call.body.at)  # type: ignore[arg-type]

    @api.op("GET", "/api/v1/things", query=ThingQuery, out=Page[ThingOut], scope="things:read")
    def list_things(call: Call[NoBody, ThingQuery]) -> Page[ThingOut]:
        """List things."""
        found = [ThingOut(id=tag, name=str(call.query.paused)) for tag in call.query.tag]
        return Page(items=found, next_cursor=call.query.cursor)

    @api.op("GET", "/api/v1/things/{thing_id}", out=ThingOut, scope="things:read")
    def get_thing(call: Call[NoBody, NoQuery]) -> ThingOut:
        """Show a thing."""
        return ThingOut(id=call.path["thing_id"], name="x")

    @api.op("DELETE", "/api/v1/things/{thing_id}", scope="things:write")
    def delete_thing(call: Call[NoBody, NoQuery]) -> None:
        """Remove a thing."""
        raise RuntimeError("the password is hunter2")

    @api.op("POST", "/api/v1/small", scope=None, body=ThingIn, max_body=64)
    def small(call: Call[ThingIn, NoQuery]) -> None:
        """Takes little."""

    return api


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = small_app(things())
    with TestClient(app, base_url="http://localhost") as client:
        yield client


def make(client: TestClient, body: Any, **headers: str) -> Any:
    return client.post("/api/v1/things", json=body, headers=headers)


def test_it_validates_the_body_and_answers_the_model(client: TestClient) -> None:
    answer = make(client, {"name": "a", "at": "2026-01-31T08:00:00+01:00"})
    assert answer.status_code == 201
    assert answer.json()["at"] == "2026-01-31T07:00:00.000000Z"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": "a", "colour": "red"}, "colour"),
        ({}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a", "note": "a\x00b"}, "note"),
        ({"name": "a", "at": "2026-01-31T08:00:00"}, "at"),
        ({"name": "x" * 101}, "name"),
    ],
)
def test_it_says_where_an_input_is_wrong(client: TestClient, body: Any, place: str) -> None:
    answer = make(client, body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "/errors/invalid"
    assert [fault["location"] for fault in problem["errors"]] == [place]
    assert "input" not in problem["errors"][0]


NO_OBJECT = [b"", b"{", b"[]", b"\xff", b'{"name": "\\ud800"}', b"null", b'"x"', b"[" * 100_000]


@pytest.mark.parametrize("raw", NO_OBJECT)
def test_it_refuses_what_is_no_json_object(client: TestClient, raw: bytes) -> None:
    answer = client.post("/api/v1/things", content=raw)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"


def test_it_turns_errors_into_problems_with_hints(client: TestClient) -> None:
    answer = make(client, {"name": "taken"})
    assert answer.status_code == 409
    assert answer.json() == {
        "type": "/errors/conflict",
        "title": "Conflict",
        "status": 409,
        "code": "conflict",
        "detail": "there is a thing of that name",
        "hint": "choose another",
        "name": "taken",
    }


def test_it_types_query_parameters_and_refuses_unknown_ones(client: TestClient) -> None:
    answer = client.get("/api/v1/things?tag=a&tag=b&paused=true&cursor=c")
    assert [item["name"] for item in answer.json()["items"]] == ["True", "True"]
    assert answer.json()["next_cursor"] == "c"
    assert client.get("/api/v1/things?colour=red").status_code == 422
    assert client.get("/api/v1/things?limit=0").status_code == 422
    assert client.get("/api/v1/things?limit=5&limit=6").status_code == 422
    assert client.get("/api/v1/things?cursor=%00").status_code == 422


def test_an_id_that_is_none_is_not_found(client: TestClient) -> None:
    assert client.get(f"/api/v1/things/{new_id()}").status_code == 200
    assert client.get("/api/v1/things/nope").status_code == 404


def test_an_unknown_method_names_the_known_ones(client: TestClient) -> None:
    answer = client.put(f"/api/v1/things/{new_id()}")
    assert answer.status_code == 405
    assert {name.strip() for name in answer.headers["allow"].split(",")} == {"GET", "HEAD", "DELETE"}
    assert answer.json()["code"] == "method-not-allowed"


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    answer = client.get("/api/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_a_browser_gets_a_page(client: TestClient) -> None:
    answer = client.get("/nothing/<script>", headers={"accept": "text/html,*/*"})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<script>" not in answer.text


def test_the_unexpected_shows_an_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    client = TestClient(small_app(things()), base_url="http://localhost")
    answer = client.delete(f"/api/v1/things/{new_id()}")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert answer.json()["id"] in caplog.text
    assert "hunter2" in caplog.text


def test_a_body_over_the_limit_is_refused(client: TestClient) -> None:
    told = client.post("/api/v1/small", content=b"x" * 65)
    assert (told.status_code, told.json()["code"]) == (413, "body-too-large")
    chunked = client.post("/api/v1/small", content=iter([b"x" * 40, b"x" * 40]))
    assert (chunked.status_code, chunked.json()["code"]) == (413, "body-too-large")
    assert client.post("/api/v1/small", json={"name": "a"}).status_code == 204


def test_the_same_idempotency_key_names_the_same_command(client: TestClient) -> None:
    first = make(client, {"name": "a"}, **{"Idempotency-Key": "k1"}).json()["id"]
    assert make(client, {"name": "a"}, **{"Idempotency-Key": "k1"}).json()["id"] == first
    assert make(client, {"name": "a"}, **{"Idempotency-Key": "k2"}).json()["id"] != first
    assert make(client, {"name": "a"}).json()["id"] != make(client, {"name": "a"}).json()["id"]
    assert make(client, {"name": "a"}, **{"Idempotency-Key": "a b"}).status_code == 422


def test_a_body_where_none_belongs_is_refused(client: TestClient) -> None:
    assert client.request("GET", "/api/v1/things", content=b'{"a": 1}').status_code == 422


def test_two_operations_on_one_method_and_path_are_refused() -> None:
    api = things()
    api.include(things())
    with pytest.raises(ValueError, match="two operations"):
        api.routes()


def test_the_document_describes_every_operation() -> None:
    found = document(things())
    json.dumps(found)
    post = found["paths"]["/api/v1/things"]["post"]
    assert post["operationId"] == "create_thing"
    assert post["summary"] == "Make a thing."
    assert post["security"] == [{"token": ["things:write"]}, {"session": ["things:write"]}]
    schema = post["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ThingIn"}
    listed = found["paths"]["/api/v1/things"]["get"]
    assert {item["name"] for item in listed["parameters"]} == {"limit", "cursor", "tag", "paused"}
    assert found["paths"]["/api/v1/small"]["post"]["security"] == []
    assert "204" in found["paths"]["/api/v1/things/{thing_id}"]["delete"]["responses"]
    assert set(found["components"]["schemas"]) == {
        "Problem",
        "ThingIn",
        "ThingOut",
        "Page_ThingOut_",
        "Fault",
    }


def test_every_error_class_has_an_http_status() -> None:
    line: list[type[HubError]] = [HubError]
    for kind in line:
        line.extend(kind.__subclasses__())
        assert 400 <= kind.status < 600
