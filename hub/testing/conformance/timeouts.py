"""Calls of network clients that would wait for ever, found by reading the source.

Reading, not trying: a plugin has more ways to the network than a test can take. What is hidden from a reader (a client
that is passed around, options in a dictionary) is not found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_VERBS = ("get", "post", "put", "patch", "delete", "head", "options", "request")
NEEDED: dict[str, tuple[str, int | None]] = {
    "urllib.request.urlopen": ("timeout", 2),
    "socket.create_connection": ("timeout", 1),
    "http.client.HTTPConnection": ("timeout", 2),
    "http.client.HTTPSConnection": ("timeout", None),
    "smtplib.SMTP": ("timeout", 3),
    "smtplib.SMTP_SSL": ("timeout", None),
    "imaplib.IMAP4": ("timeout", 2),
    "imaplib.IMAP4_SSL": ("timeout", None),
    "ftplib.FTP": ("timeout", 4),
    "poplib.POP3": ("timeout", 2),
    "psycopg.connect": ("connect_timeout", None),
    **{f"requests.{verb}": ("timeout", None) for verb in _VERBS},
}
"""Call -> the argument that bounds it, and its place among the positional ones."""
NEVER_NONE = tuple(
    f"{library}.{verb}" for library in ("httpx", "httpx2") for verb in (*_VERBS, "Client", "AsyncClient", "stream")
)
"""Calls that are bounded by themselves, unless somebody says `timeout=None`."""


def missing(path: Path) -> Iterator[str]:
    """Where a source calls without a bound, as `file.py:12: urllib.request.urlopen`."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return
    names = dict(_imported(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = _called(node.func, names)
            if called and _unbounded(node, called):
                yield f"{path.name}:{node.lineno}: {called}"


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Names of the file -> what they mean."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield (one.asname, one.name) if one.asname else (one.name.split(".")[0], one.name.split(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((one.asname or one.name, f"{node.module}.{one.name}") for one in node.names)


def _called(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        base = _called(node.value, names)
        return f"{base}.{node.attr}" if base else ""
    return ""


def _unbounded(call: ast.Call, called: str) -> bool:
    given = {word.arg: word.value for word in call.keywords}
    if called in NEVER_NONE:
        return _is_none(given.get("timeout"))
    if called not in NEEDED or None in given:  # None: `**options`, which may hold it
        return False
    word, place = NEEDED[called]
    if word in given:
        return _is_none(given[word])
    starred = any(isinstance(one, ast.Starred) for one in call.args)
    return not starred and (place is None or len(call.args) <= place)


def _is_none(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
