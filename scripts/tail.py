"""Shows the tail of function length and branching: how the longest 5 % of functions look, and which they are.

Lines are code lines: a function's own, without its docstring, blank lines, comments and nested functions.
Branches are `if`, `elif`, conditional expressions, loops, comprehension conditions, `except` and `case`.
"""

from __future__ import annotations

import ast
import io
import math
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path

LINES, BRANCHES = 34, 8  # where the longest 5 % end in the codebases we learn from
SHOWN = 12
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
BRANCH = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
BLANK = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A function's place and its size."""

    where: str
    lines: int
    branches: int


def _code_lines(text: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        line
        for token in tokens
        if token.type not in BLANK
        for line in range(token.start[0], token.end[0] + 1)
    }


def _span(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Expr) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    first = node.body[0]
    return _span(first) if ast.get_docstring(node) is not None and isinstance(first, ast.Expr) else set()


def _inner(node: ast.AST) -> list[ast.AST]:
    """All nodes below `node`, without those of functions nested in it."""
    found: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        found.append(child)
        if not isinstance(child, FUNCTION):
            found.extend(_inner(child))
    return found


def _size(node: ast.FunctionDef | ast.AsyncFunctionDef, code: set[int], where: str) -> Size:
    inner = _inner(node)
    lines = (_span(node) & code) - _docstring(node)
    for nested in inner:
        if isinstance(nested, FUNCTION):
            lines -= _span(nested)
    branches = sum(isinstance(each, BRANCH) for each in inner)
    branches += sum(len(each.ifs) for each in inner if isinstance(each, ast.comprehension))
    return Size(where=where, lines=len(lines), branches=branches)


def sizes(root: Path) -> list[Size]:
    """The size of every function in the Python files under `root`, in order of path and line."""
    return [size for path in sorted(root.rglob("*.py")) for size in _sizes_in(path)]


def _sizes_in(path: Path) -> list[Size]:
    text = path.read_text(encoding="utf-8")
    code = _code_lines(text)
    return [
        _size(node, code, f"{path}:{node.lineno} {node.name}")
        for node in ast.walk(ast.parse(text, filename=str(path)))
        if isinstance(node, FUNCTION)
    ]


def _percentile(values: list[int], share: float) -> int:
    """The nearest-rank percentile of `values`, which are not empty."""
    return sorted(values)[math.ceil(len(values) * share) - 1]


def _summary(what: str, values: list[int]) -> str:
    middle, tail = _percentile(values, 0.5), _percentile(values, 0.95)
    return f"{what:9} p50 {middle:3}   p95 {tail:3}   longest {max(values):3}"


def report(found: list[Size]) -> str:
    """The percentiles of both measures, then each function beyond either figure, the largest first."""
    if not found:
        return "no functions"
    lines = [
        f"{len(found)} functions",
        _summary("lines", [size.lines for size in found]),
        _summary("branches", [size.branches for size in found]),
    ]
    ranked = sorted(found, key=lambda size: (-size.lines, -size.branches, size.where))
    beyond = [size for size in ranked if size.lines > LINES or size.branches > BRANCHES]
    lines.append(f"beyond {LINES} lines or {BRANCHES} branches: {len(beyond)}")
    lines += [f"  {size.lines:3} lines {size.branches:3} branches  {size.where}" for size in beyond[:SHOWN]]
    if len(beyond) > SHOWN:
        lines.append(f"  and {len(beyond) - SHOWN} more")
    if not beyond:
        lines += [
            f"  longest: {size.lines} lines {size.branches} branches  {size.where}" for size in ranked[:3]
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    for folder in sys.argv[1:] or ["src"]:
        print(f"{folder}: {report(sizes(Path(folder)))}")
