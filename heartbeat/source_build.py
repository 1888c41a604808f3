"""What the wheel's sources are: those of the tree, without docstrings and annotations, each line where it was.

The interpreter makes objects of both whenever it loads a module, 0.4 MB of the daemon's memory, and nobody asks a
router's daemon for either. Used by `setup.py` alone; the wheel leaves this file out. An editable installation has the
sources as they are.
"""

from __future__ import annotations

import ast

Cut = tuple[int, int, bytes]  # from, to, what is there instead
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def lean(source: bytes, name: str) -> bytes:
    """SyntaxError where the result would not be the same program: its text has a form that is not known here."""
    tree = ast.parse(source, name)
    text = _Text(source)
    fields = {id(each) for node in ast.walk(tree) if _keeps_fields(node) for each in node.body}  # type: ignore[attr-defined]
    for node in list(ast.walk(tree)):
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)):
            text.without_docstring(node)
        if isinstance(node, FUNCTIONS):
            text.without_annotations(node)
        for statements in (getattr(node, part, None) for part in ("body", "orelse", "finalbody")):
            if isinstance(statements, list):
                statements[:] = [
                    text.assigned(each) if isinstance(each, ast.AnnAssign) and id(each) not in fields else each
                    for each in statements
                ]
    made = text.cut()
    if _meant(ast.parse(made, name)) != _meant(tree):
        raise SyntaxError(f"{name}: this file without docstrings and annotations would be another program")
    return made


def _keeps_fields(node: ast.AST) -> bool:
    """A class whose decorator or base may make fields of its annotations."""
    return isinstance(node, ast.ClassDef) and bool(node.bases or node.decorator_list)


def _meant(tree: ast.Module) -> tuple[str, list[int]]:
    return ast.dump(tree), [node.lineno for node in ast.walk(tree) if isinstance(node, (ast.stmt, ast.expr))]


class _Text:
    """The source, and what is to be cut out of it. Whoever names a cut changes the tree in the same way."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._cuts: list[Cut] = []
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def cut(self) -> bytes:
        made = self._source
        for begin, end, instead in sorted(self._cuts, reverse=True):
            made = made[:begin] + instead + made[end:]
        return made

    def without_docstring(self, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if ast.get_docstring(node, clean=False) is None:
            return
        first = node.body.pop(0)
        begin, end = self._span(first)
        lines = b"\n" * self._source.count(b"\n", begin, end)
        if node.body:
            self._cuts.append((self._before_blanks(begin), end, lines))
        else:
            node.body.append(ast.copy_location(ast.Pass(), first))
            self._cuts.append((begin, end, b"pass" + lines))

    def without_annotations(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        told = node.args
        for each in (*told.posonlyargs, *told.args, *told.kwonlyargs, told.vararg, told.kwarg):
            if each is not None and each.annotation is not None:
                named = self._at(each.lineno, each.col_offset) + len(each.arg.encode())
                self._leave_out(named, self._span(each.annotation)[1])
                each.annotation = None
        if node.returns is not None:
            begin, end = self._span(node.returns)
            self._leave_out(self._before_blanks(self._source.rindex(b"->", 0, begin)), end)
            node.returns = None

    def assigned(self, node: ast.AnnAssign) -> ast.stmt:
        if node.value is None:
            self._leave_out(*self._span(node), b"pass")
            return ast.copy_location(ast.Pass(), node)
        self._leave_out(self._span(node.target)[1], self._span(node.annotation)[1])
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def _leave_out(self, begin: int, end: int, instead: bytes = b"") -> None:
        """Of code: the line goes on in the next one."""
        self._cuts.append((begin, end, instead + b" \\\n" * self._source.count(b"\n", begin, end)))

    def _span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        begin = self._at(node.lineno, node.col_offset)
        return begin, self._at(node.end_lineno or 0, node.end_col_offset or 0)

    def _before_blanks(self, at: int) -> int:
        return len(self._source[:at].rstrip(b" "))

    def _at(self, line: int, column: int) -> int:
        return self._lines[line - 1] + column
