"""What the architecture tests look at: tracked files, syntax trees, documentation, the command tree."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hub", "notifications/hub_notifications", "hybrid/hub_hybrid", "plugins/hub_plugins")


@functools.cache
def tracked() -> tuple[Path, ...]:
    """Files under version control; in a plain copy without git, every file that is not made by a tool."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    if done.returncode == 0:
        return tuple(ROOT / name for name in sorted(done.stdout.split("\0")) if name and (ROOT / name).is_file())
    made = re.compile(r"(^|/)(\.venv|\.git|__pycache__|dist|build|\.\w+_cache|.*\.egg-info)(/|$)")
    files = (path for path in ROOT.rglob("*") if path.is_file())
    return tuple(sorted(path for path in files if not made.search(str(path.relative_to(ROOT)))))


def python_files(*folders: str) -> list[Path]:
    """Tracked Python files under the folders, or in the packages."""
    wanted = [ROOT / folder for folder in (folders or PACKAGES)]
    return [path for path in tracked() if path.suffix == ".py" and any(path.is_relative_to(base) for base in wanted)]


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of a file with its dotted name."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}" if prefix else child.name
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, child
            yield from walk(child, name)

    return walk(tree(path), "")


def short(path: Path) -> str:
    """The path as it is written in messages."""
    return path.relative_to(ROOT).as_posix()


def markdown() -> list[Path]:
    """Documentation that users read."""
    return [path for path in tracked() if path.suffix == ".md" and not short(path).startswith("tests/")]


@functools.cache
def documentation() -> str:
    """All of docs/ as one text."""
    return "\n".join(path.read_text(encoding="utf-8") for path in markdown() if short(path).startswith("docs/"))


@functools.cache
def all_tests() -> str:
    """All tests but these as one text."""
    paths = [path for path in python_files("tests") if "architecture" not in path.parts]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def code_blocks(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, info string and text of every fenced block of a page."""
    text = path.read_text(encoding="utf-8")
    for match in re.finditer(r"^```([^\n`]*)\n(.*?)^```\s*$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 1, match.group(1).strip(), match.group(2)
