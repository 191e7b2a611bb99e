"""CEL filters and mappings."""

from __future__ import annotations

import pytest
from hub.errors import ExpressionError
from hub.runtime.expressions import apply_mapping, cel_input, check_mapping, compile_expression

PUSH = {"body": {"ref": "refs/heads/main", "n": 3, "tags": ["a"], "name": '","evil":"'}, "headers": {"x": "1"}}


def test_a_filter_says_yes_or_no() -> None:
    assert compile_expression("body.ref == 'refs/heads/main' && 'a' in body.tags").matches(PUSH)
    assert not compile_expression("body.n > 3").matches(PUSH)


@pytest.mark.parametrize("text", ["body.missing == 1", "body.n", "headers.y == 'z'", "body.n / 0 == 1"])
def test_an_error_is_never_no_match(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text).matches(PUSH)


@pytest.mark.parametrize("text", ["body.x ==", "nope == 1", "(" * 20_000, "a" * 20_000])
def test_a_wrong_expression_is_refused_when_it_is_saved(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text)


def test_an_endless_loop_is_refused() -> None:
    nested = "body.l.all(a, body.l.all(b, body.l.all(c, body.l.all(d, a + b + c + d >= 0))))"
    with pytest.raises(ExpressionError):
        compile_expression(nested).matches({"body": {"l": list(range(200))}})


def test_a_mapping_keeps_types_and_parses_nothing_afterwards() -> None:
    tree = {"n": "=body.n", "all": "=body.tags", "text": "ref ${body.ref}", "x": {"y": "${body.name}"}, "z": 1.5}
    assert apply_mapping(tree, PUSH) == {
        "n": 3, "all": ["a"], "text": "ref refs/heads/main", "x": {"y": '","evil":"'}, "z": 1.5
    }  # fmt: skip


def test_a_wrong_leaf_is_named() -> None:
    with pytest.raises(ExpressionError, match=r"parameters\.a\[1\]"):
        check_mapping({"a": ["=body.x", "=body.("]})


def test_integers_beyond_64_bits_and_long_texts_are_bounded() -> None:
    assert cel_input({"n": 2**70, "s": "x" * 100_000, "b": True}) == {"n": str(2**70), "s": "x" * 65_536, "b": True}
    assert compile_expression("body.n == '1180591620717411303424'").matches({"body": cel_input({"n": 2**70})})
