"""Whoever catches everything says what became of it: raised, logged, or handed on; never swallowed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .repository import python_files, short, tree

BROAD = {"Exception", "BaseException"}
LOGS = {"debug", "info", "warning", "error", "exception", "handleError", "print_exc"}
SILENT = {
    "hub/runtime/parameters.py": "all hints at once fail where one does: they are then asked one by one, which logs",
    "hub/runtime/executor/keeping.py": "hints are any expression; without them a result is kept as plain JSON",
    "hub/runtime/executor/steps.py": "a future keeps its error for whoever asks for its result",
    "hub/runtime/drawing/placeholders.py": "an object that cannot be copied is shared by the calls of a picture",
    "hub/runtime/executor/texts.py": "an error whose text cannot be made is told by its type",
    "hub/runtime/executor/results.py": "a result that pydantic cannot carry stays in memory, as its format says",
}
"""Files with one handler that neither raises, logs nor uses what it caught, each with its reason."""


def test_every_broad_except_raises_logs_or_hands_on() -> None:
    found: dict[str, int] = {}
    for path in python_files():
        for handler in _broad(tree(path)):
            if not _tells(handler):
                found[short(path)] = found.get(short(path), 0) + 1
    assert found == dict.fromkeys(SILENT, 1)


def _broad(module: ast.AST) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(kind is None or (isinstance(kind, ast.Name) and kind.id in BROAD) for kind in caught):
                yield node


def _tells(handler: ast.ExceptHandler) -> bool:
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Name) and node.id == handler.name):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOGS:
            return True
    return False
