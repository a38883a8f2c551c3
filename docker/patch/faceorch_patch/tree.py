"""Positions of syntax-tree nodes in a text, and replacements by position."""

from __future__ import annotations

import ast
import io
import textwrap
import tokenize
from collections.abc import Iterator, Sequence

from faceorch_patch.core import PatchError

Place = tuple[int, int]  # begin and end in characters
Change = tuple[Place, str]


class Source:
    """A Python text and its syntax tree."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self.tree = ast.parse(text)
        except SyntaxError as error:
            raise PatchError(f"the file is no Python: {error.msg} (line {error.lineno})") from error
        self._lines = text.split("\n")
        self._begins = [0]
        for line in self._lines:
            self._begins.append(self._begins[-1] + len(line) + 1)

    def offset(self, line: int, column: int) -> int:
        """Return the character that a node's line (from 1) and column (in UTF-8 bytes) mean."""
        before = self._lines[line - 1].encode("utf-8")[:column]
        return self._begins[line - 1] + len(before.decode("utf-8"))

    def place(self, node: ast.expr | ast.stmt | ast.alias | ast.keyword) -> Place:
        """Return where a node stands; of a decorated definition that is from its first decorator on."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        begin = self.offset(node.lineno, node.col_offset)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.decorator_list:
            begin = self._begins[node.decorator_list[0].lineno - 1] + node.col_offset
        return begin, self.offset(node.end_lineno, node.end_col_offset)

    def expressions(self, scope: ast.AST) -> Iterator[ast.expr]:
        """Yield the expressions within `scope`. Those inside f-strings have no usable place before Python 3.12."""
        for node in _outside_f_strings(scope):
            if isinstance(node, ast.expr):
                yield node

    def statements(self, scope: ast.AST) -> Iterator[ast.stmt]:
        """Yield the statements within `scope`."""
        return (node for node in ast.walk(scope) if isinstance(node, ast.stmt) and node is not scope)

    def scope(self, path: str | None) -> ast.AST:
        """Return the class or function of that dotted path, or the whole file for None."""
        if path is None:
            return self.tree
        return self.definition(path)

    def definition(self, path: str) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef:
        """Return the one class or function of that dotted path; `PatchError` when there is none or several."""
        scopes: Sequence[ast.AST] = [self.tree]
        for name in path.split("."):
            scopes = [node for scope in scopes for node in _definitions(scope) if node.name == name]
        if len(scopes) != 1:
            raise PatchError(f"expected one `{path}`, found {len(scopes)}")
        found = scopes[0]
        assert isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        return found

    def indentation(self, begin: int) -> str | None:
        """Return what stands before `begin` on its line, None when that is more than white space."""
        line_begin = self.text.rfind("\n", 0, begin) + 1
        before = self.text[line_begin:begin]
        return before if not before.strip() else None

    def change(self, changes: Sequence[Change]) -> str:
        """Return the text with every place replaced."""
        text = self.text
        limit = len(text)
        for (begin, end), new in sorted(changes, reverse=True):
            if end > limit:
                raise PatchError("two of the places to change overlap")
            limit = begin
            text = text[:begin] + new + text[end:]
        return text

    def last_token(self, call: ast.Call) -> tuple[int, str]:
        """Return where the last token before a call's closing bracket ends, and that token (comments do not count)."""
        begin, end = self.place(call)
        text = self.text[begin:end]
        begins = [0]
        for line in text.split("\n"):
            begins.append(begins[-1] + len(line) + 1)
        skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
        tokens = [t for t in tokenize.generate_tokens(io.StringIO(text).readline) if t.type not in skipped]
        row, column = tokens[-2].end  # the last one is the bracket
        return begin + begins[row - 1] + column, tokens[-2].string

    def block(self, begin: int, code: str) -> str:
        """Return `code` as it must stand at `begin`: its further lines indented like the first."""
        code = textwrap.dedent(code).strip("\n")
        if "\n" not in code:
            return code
        indent = self.indentation(begin)
        if indent is None:
            raise PatchError("several lines cannot replace a statement that shares its line with another")
        return textwrap.indent(code, indent).lstrip()


def _outside_f_strings(scope: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(scope):
        yield node
        if not isinstance(node, ast.JoinedStr):
            yield from _outside_f_strings(node)


def _definitions(scope: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Yield the classes and functions of a scope, also those under an `if` or a `try`, but not nested ones."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node
        elif isinstance(node, (ast.stmt, ast.ExceptHandler)):
            yield from _definitions(node)


def dotted(node: ast.AST) -> str | None:
    """Return `a.b.c` of such an expression, None for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def parse_statement(text: str) -> ast.stmt:
    """Return the one statement that `text` is."""
    body = ast.parse(textwrap.dedent(text).strip("\n")).body
    if len(body) != 1:
        raise ValueError(f"{text!r} must be one statement")
    return body[0]


def parse_expression(text: str) -> ast.expr:
    """Return the expression that `text` is."""
    return ast.parse(text.strip(), mode="eval").body


def operand(text: str) -> str:
    """Return an expression so that it can stand inside any other."""
    simple = (ast.Name, ast.Attribute, ast.Call, ast.Constant, ast.Subscript, ast.List, ast.Dict, ast.Set, ast.Tuple)
    node = parse_expression(text)
    bare_tuple = isinstance(node, ast.Tuple) and not text.strip().startswith("(")
    return text.strip() if isinstance(node, simple) and not bare_tuple else f"({text.strip()})"
