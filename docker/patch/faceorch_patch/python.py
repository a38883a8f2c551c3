"""Edits of Python code by its syntax tree: layout and comments of upstream do not matter, and nothing else is touched.

`within` limits an edit to one class or function, given as a dotted path such as `Model.forward`. Every edit wants
exactly `count` matches. Expressions and statements match when their syntax trees are equal.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from faceorch_patch.core import PatchError
from faceorch_patch.tree import Change, Source, dotted, operand, parse_expression, parse_statement


@dataclass(frozen=True)
class _Matching:
    """An edit that changes every place it finds, and wants to find `count` of them."""

    def apply(self, source: str) -> str:
        """Return the changed text."""
        text = Source(source)
        changes = self._changes(text)
        wanted: int = self.count  # type: ignore[attr-defined]  # every subclass has it, after its own fields
        if len(changes) != wanted:
            raise PatchError(f"expected {self.expects}, found {len(changes)}")
        return text.change(changes)

    @property
    def expects(self) -> str:
        """What must be found."""
        where = getattr(self, "within", None)
        return f"{self.count} x {self._what}" + (f" in `{where}`" if where else "")  # type: ignore[attr-defined]

    @property
    def _what(self) -> str:
        raise NotImplementedError

    def _changes(self, source: Source) -> list[Change]:
        raise NotImplementedError


def _line(code: str) -> str:
    return "`" + " ".join(code.split()) + "`"


@dataclass(frozen=True)
class ReplaceExpression(_Matching):
    """Replace an expression, such as `np.float` by `float`."""

    find: str
    replace: str
    count: int = 1
    within: str | None = None

    @property
    def _what(self) -> str:
        return _line(self.find)

    def _changes(self, source: Source) -> list[Change]:
        wanted = ast.dump(parse_expression(self.find))
        found = [n for n in source.expressions(source.scope(self.within)) if ast.dump(n) == wanted]
        return [(source.place(node), operand(self.replace)) for node in found]


@dataclass(frozen=True)
class ReplaceStatement(_Matching):
    """Replace a statement by others."""

    find: str
    replace: str
    count: int = 1
    within: str | None = None

    @property
    def _what(self) -> str:
        return _line(self.find)

    def _changes(self, source: Source) -> list[Change]:
        return [(place, source.block(place[0], self.replace)) for place in _statements(source, self.find, self.within)]


@dataclass(frozen=True)
class DeleteStatement(_Matching):
    """Delete a statement; `pass` takes its place, so that no block is left empty."""

    find: str
    count: int = 1
    within: str | None = None

    @property
    def _what(self) -> str:
        return _line(self.find)

    def _changes(self, source: Source) -> list[Change]:
        return [(place, "pass") for place in _statements(source, self.find, self.within)]


@dataclass(frozen=True)
class InsertBefore(_Matching):
    """Insert statements before one that stands on a line of its own."""

    find: str
    insert: str
    count: int = 1
    within: str | None = None

    @property
    def _what(self) -> str:
        return _line(self.find)

    def _changes(self, source: Source) -> list[Change]:
        changes: list[Change] = []
        for begin, _ in _statements(source, self.find, self.within):
            changes.append(((begin, begin), source.block(begin, self.insert) + "\n" + _indent(source, begin)))
        return changes


@dataclass(frozen=True)
class InsertAfter(_Matching):
    """Insert statements after one that stands on a line of its own."""

    find: str
    insert: str
    count: int = 1
    within: str | None = None

    @property
    def _what(self) -> str:
        return _line(self.find)

    def _changes(self, source: Source) -> list[Change]:
        changes: list[Change] = []
        for begin, end in _statements(source, self.find, self.within):
            line_end = source.text.find("\n", end)
            line_end = len(source.text) if line_end < 0 else line_end  # past a comment on the same line
            rest = source.text[end:line_end].strip()
            if rest and not rest.startswith("#"):
                raise PatchError(f"{self._what} shares its line with another statement")
            changes.append(((line_end, line_end), "\n" + _indent(source, begin) + source.block(begin, self.insert)))
        return changes


@dataclass(frozen=True)
class ReplaceImport(_Matching):
    """Import from another module: `import OLD`, `import OLD as x`, `from OLD import x`. `OLD` may begin with dots."""

    old: str
    new: str
    count: int = 1

    @property
    def _what(self) -> str:
        return f"import of `{self.old}`"

    def _changes(self, source: Source) -> list[Change]:
        changes: list[Change] = []
        for node in source.statements(source.tree):
            if isinstance(node, ast.ImportFrom) and _module(node) == self.old:
                begin, end = source.place(node)
                found = re.match(r"from(.*?)\bimport\b", source.text[begin:end], flags=re.DOTALL)
                assert found is not None
                changes.append(((begin + found.start(1), begin + found.end(1)), f" {self.new} "))
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name == self.old:
                        begin, _ = source.place(alias)
                        changes.append(((begin, begin + len(self.old)), self.new))
        return changes


@dataclass(frozen=True)
class DeleteImport(_Matching):
    """Delete an import: `import MODULE`, `import MODULE as x`, `from MODULE import x`; with `name`, only that name."""

    module: str
    name: str | None = None
    count: int = 1

    @property
    def _what(self) -> str:
        return f"import of `{self.module}`" if self.name is None else f"import of `{self.name}` from `{self.module}`"

    def _changes(self, source: Source) -> list[Change]:
        changes: list[Change] = []
        for node in source.statements(source.tree):
            if isinstance(node, ast.ImportFrom) and _module(node) == self.module:
                kept = [] if self.name is None else [alias for alias in node.names if alias.name != self.name]
            elif isinstance(node, ast.Import) and self.name is None:
                kept = [alias for alias in node.names if alias.name != self.module]
            else:
                continue
            if len(kept) == len(node.names):
                continue
            node.names = kept
            changes.append((source.place(node), ast.unparse(node) if kept else "pass"))
        return changes


@dataclass(frozen=True)
class SetKeyword(_Matching):
    """Give calls of a function a keyword argument, or another value for it: `torch.load(path)` its `weights_only`."""

    call: str
    keyword: str
    value: str
    count: int = 1
    within: str | None = None

    @property
    def _what(self) -> str:
        return f"call of `{self.call}`"

    def _changes(self, source: Source) -> list[Change]:
        changes: list[Change] = []
        for call in _calls(source, self.call, self.within):
            given = next((keyword for keyword in call.keywords if keyword.arg == self.keyword), None)
            if given is not None:
                changes.append((source.place(given.value), operand(self.value)))
                continue
            if not call.args and not call.keywords:
                end = source.place(call)[1] - 1
                changes.append(((end, end), f"{self.keyword}={operand(self.value)}"))
                continue
            place, token = source.last_token(call)
            separator = " " if token == "," else ", "
            changes.append(((place, place), f"{separator}{self.keyword}={operand(self.value)}"))
        return changes


@dataclass(frozen=True)
class RemoveKeyword(_Matching):
    """Take a keyword argument away from calls of a function."""

    call: str
    keyword: str
    count: int = 1
    within: str | None = None

    @property
    def _what(self) -> str:
        return f"call of `{self.call}` with `{self.keyword}`"

    def _changes(self, source: Source) -> list[Change]:
        changes: list[Change] = []
        for call in _calls(source, self.call, self.within):
            for keyword in call.keywords:
                if keyword.arg != self.keyword:
                    continue
                begin, end = source.place(keyword)
                after = re.match(r"\s*,[ \t]*", source.text[end:])
                before = re.search(r",\s*\Z", source.text[:begin])
                if after:
                    end += after.end()
                elif before:
                    begin = before.start()
                changes.append(((begin, end), ""))
        return changes


@dataclass(frozen=True)
class SetValue(_Matching):
    """Assign another value to a variable or an attribute (`self.device`), or another default to a parameter."""

    target: str
    value: str
    count: int = 1
    within: str | None = None

    @property
    def _what(self) -> str:
        return f"value of `{self.target}`"

    def _changes(self, source: Source) -> list[Change]:
        scope = source.scope(self.within)
        values: list[ast.expr] = []
        for node in source.statements(scope):
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                values += [node.value] * any(dotted(target) == self.target for target in targets)
        if self.within is not None and isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
            values += _defaults(scope.args, self.target)
        return [(source.place(value), operand(self.value)) for value in values]


@dataclass(frozen=True)
class ReplaceBody:
    """Give a function another body. `contains` lists expressions and statements that its old body must hold."""

    function: str
    body: str
    contains: tuple[str, ...]

    @property
    def expects(self) -> str:
        """What must be found."""
        return f"function `{self.function}` with " + ", ".join(map(_line, self.contains))

    def apply(self, source: str) -> str:
        """Return the changed text."""
        text = Source(source)
        node = text.definition(self.function)
        if isinstance(node, ast.ClassDef):
            raise PatchError(f"`{self.function}` is a class")
        held = {ast.dump(part) for part in ast.walk(node) if isinstance(part, (ast.expr, ast.stmt))}
        for code in self.contains:
            statement = parse_statement(code)
            wanted = statement.value if isinstance(statement, ast.Expr) else statement
            if ast.dump(wanted) not in held:
                raise PatchError(f"expected {self.expects}; {_line(code)} is not there")
        begin, end = text.place(node.body[0])[0], text.place(node.body[-1])[1]
        indent = text.indentation(begin)
        if indent is not None:
            return text.change([((begin, end), text.block(begin, self.body))])
        lines = [" " * (node.col_offset + 4) + line for line in text.block(0, self.body).split("\n")]
        return text.change([((begin, end), "\n" + "\n".join(lines))])


def _statements(source: Source, find: str, within: str | None) -> list[tuple[int, int]]:
    wanted = ast.dump(parse_statement(find))
    return [source.place(node) for node in source.statements(source.scope(within)) if ast.dump(node) == wanted]


def _calls(source: Source, function: str, within: str | None) -> list[ast.Call]:
    nodes = source.expressions(source.scope(within))
    return [node for node in nodes if isinstance(node, ast.Call) and dotted(node.func) == function]


def _defaults(arguments: ast.arguments, name: str) -> list[ast.expr]:
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [
        *zip(reversed(positional), reversed(arguments.defaults), strict=False),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return [default for argument, default in pairs if argument.arg == name and default is not None]


def _module(node: ast.ImportFrom) -> str:
    return "." * node.level + (node.module or "")


def _indent(source: Source, begin: int) -> str:
    indent = source.indentation(begin)
    if indent is None:
        raise PatchError("nothing can be inserted beside a statement that shares its line with another")
    return indent
