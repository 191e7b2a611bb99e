"""What a template may be made of, and whether the names in it exist: told with their line, before it is compiled.

A shape says what a value has: a mapping of names to shapes, a list with the shape of its items, `"*"` for a mapping
with any names, None for a text or a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias

from jinja2 import Environment, meta, nodes

from hub.texts.limits import MAX_DEPTH, MAX_SOURCE
from hub.texts.sandbox import MAPPING, TEXT

Shape: TypeAlias = Any
ANY = object()
"""The shape of what is not known before it is rendered."""
_ALLOWED: frozenset[type[nodes.Node]] = frozenset(
    {
        nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.NSRef, nodes.Const, nodes.List, nodes.Tuple,
        nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Getattr, nodes.Getitem,
        nodes.Slice, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add,
        nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Concat, nodes.If, nodes.For,
        nodes.Macro, nodes.Call, nodes.Assign, nodes.AssignBlock, nodes.With,
    }
)  # fmt: skip
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Include: "{% include %} is not available: a text is one template",
    nodes.Import: "{% import %} is not available: a text is one template",
    nodes.FromImport: "{% from %} is not available: a text is one template",
    nodes.Extends: "{% extends %} is not available: a text is one template",
    nodes.Block: "{% block %} is not available: a text is one template",
    nodes.CallBlock: "{% call %} is not available; call the macro with {{ name() }}",
    nodes.FilterBlock: "{% filter %} is not available; write {% set x %}...{% endset %}{{ x | upper }}",
    nodes.Scope: "{% autoescape %} is not available: what is printed is always escaped",
}


class TemplateMistake(Exception):
    """Something in a template is wrong; `line` is where, 0 where that is not known."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


def parsed(environment: Environment, source: str, variables: Mapping[str, Shape]) -> nodes.Template:
    """The tree of a template that may be compiled. Raises TemplateMistake and TemplateSyntaxError."""
    if len(source) > MAX_SOURCE:
        raise TemplateMistake(f"it has {len(source):,} characters, at most {MAX_SOURCE:,} are allowed")
    tree = environment.parse(source)
    _check_nodes(tree, environment)
    _check_names(environment, tree, variables)
    _Members(variables).check(tree)
    return tree


def _check_nodes(tree: nodes.Template, environment: Environment) -> None:
    for node, depth in _walk(tree):
        if depth > MAX_DEPTH:
            raise TemplateMistake(f"it is nested more than {MAX_DEPTH} deep", node.lineno)
        if type(node) not in _ALLOWED:
            line = node.lineno or next((child.lineno for child in node.iter_child_nodes()), 0)
            raise TemplateMistake(_REFUSED.get(type(node), f"{type(node).__name__} is not available"), line)
        if isinstance(node, nodes.AssignBlock) and node.filter is not None:
            raise TemplateMistake("{% set %} takes no filter here; use it where the text is printed", node.lineno)
        for kind, known in ((nodes.Filter, environment.filters), (nodes.Test, environment.tests)):
            if isinstance(node, kind) and node.name not in known:
                _unknown(kind.__name__.lower(), node.name, known, node.lineno)


def _walk(tree: nodes.Node) -> Iterator[tuple[nodes.Node, int]]:
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += [(child, depth + 1) for child in node.iter_child_nodes()]


def _check_names(environment: Environment, tree: nodes.Template, variables: Mapping[str, Shape]) -> None:
    known = {*variables, *environment.globals}
    unknown = meta.find_undeclared_variables(tree) - known
    for node in tree.find_all(nodes.Name):
        if node.name in unknown and node.ctx == "load":
            _unknown("variable", node.name, known, node.lineno)


def _unknown(kind: str, name: str, known: Any, line: int) -> NoReturn:
    close = get_close_matches(name, list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(known))}"
    raise TemplateMistake(f"there is no {kind} {name[:60]!r}; {hint}", line)


class _Members:
    """Follows `alert.run.name` from the variables, whose shapes are known. What is assigned twice is not followed."""

    def __init__(self, variables: Mapping[str, Shape]) -> None:
        self._shapes: dict[str, Shape] = dict(variables)

    def check(self, tree: nodes.Template) -> None:
        """Raises TemplateMistake for a member that does not exist."""
        for node, _ in sorted(_walk(tree), key=lambda found: found[0].lineno or 0):
            if isinstance(node, nodes.For):
                self._bind(node.target, self._items(node.iter))
            elif isinstance(node, nodes.Assign):
                self._bind(node.target, self._of(node.node))
            elif isinstance(node, nodes.With):
                for target, value in zip(node.targets, node.values, strict=True):
                    self._bind(target, self._of(value))
            elif isinstance(node, nodes.AssignBlock | nodes.Macro):
                for target in node.args if isinstance(node, nodes.Macro) else [node.target]:
                    self._bind(target, ANY)
        for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
            self._of(node)

    def _bind(self, target: nodes.Node, shape: Shape) -> None:
        if isinstance(target, nodes.Tuple):
            for one in target.items:
                self._bind(one, ANY)
        elif isinstance(target, nodes.Name):
            known = self._shapes.get(target.name, shape)
            self._shapes[target.name] = shape if known == shape else ANY

    def _items(self, node: nodes.Node) -> Shape:
        shape = self._of(node)
        return shape[0] if isinstance(shape, list) and shape else ANY

    def _of(self, node: nodes.Node) -> Shape:
        if isinstance(node, nodes.Name):
            return self._shapes.get(node.name, ANY)
        if isinstance(node, nodes.Getattr):
            return self._member(node.node, node.attr, node.lineno, methods=True)
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            if isinstance(node.arg.value, str):
                return self._member(node.node, node.arg.value, node.lineno, methods=False)
            return self._items(node.node)
        if isinstance(node, nodes.Filter) and node.name in ("first", "last") and node.node is not None:
            return self._items(node.node)
        return ANY

    def _member(self, parent: nodes.Node, name: str, line: int, *, methods: bool) -> Shape:
        shape = self._of(parent)
        if shape is ANY or shape == "*":
            return ANY
        known = set(shape) if isinstance(shape, dict) else set()
        if isinstance(shape, dict) and name in shape:
            return shape[name]
        also = (MAPPING if isinstance(shape, dict) else TEXT if shape is None else frozenset()) if methods else set()
        if name in also:
            return ANY
        close = get_close_matches(name, [*known, *also], n=1)
        if close:
            hint = f"did you mean {close[0]!r}?"
        else:
            hint = f"it has {', '.join(sorted(known))}" if known else "it is " + (
                "a list; write a loop or [0]" if isinstance(shape, list) else "a text or a number"
            )  # fmt: skip
        raise TemplateMistake(f"{_written(parent)} has no {name[:60]!r}; {hint}", line)


def _written(node: nodes.Node) -> str:
    """An expression as its author wrote it, about."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_written(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return f"{_written(node.node)}[{node.arg.value!r}]"
    return "this"
