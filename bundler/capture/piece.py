"""The statements of the cells, each with the names that it binds and needs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from .cell import MARK, Cell
from .magics import parse
from .names import Names, names_of

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SETTLED = frozenset(
    {
        "Path", "PurePath", "bool", "bytes", "compile", "complex", "dtype", "float", "frozenset", "getLogger",
        "int", "len", "max", "min", "namedtuple", "range", "round", "str", "sum", "tuple",
        "NamedTuple", "NewType", "ParamSpec", "TypeVar", "TypedDict",
    }
)  # fmt: skip
"""What gives objects that no training changes."""


@dataclass(frozen=True)
class Piece:
    """One statement at the top of a cell, or a single name of an import."""

    cell: Cell
    node: ast.stmt
    names: Names

    @property
    def is_import(self) -> bool:
        return isinstance(self.node, (ast.Import, ast.ImportFrom))

    @property
    def is_star(self) -> bool:
        return isinstance(self.node, ast.ImportFrom) and self.node.names[0].name == "*"

    @property
    def is_future(self) -> bool:
        return isinstance(self.node, ast.ImportFrom) and self.node.module == "__future__"

    @property
    def is_definition(self) -> bool:
        return isinstance(self.node, _DEFINITIONS)

    @property
    def imports_top(self) -> bool:
        """Whether it is `import xml` or `import xml.sax`, which add to what earlier ones have bound."""
        return isinstance(self.node, ast.Import) and self.node.names[0].asname is None

    @property
    def is_type(self) -> bool:
        """Whether a word of an annotation may mean what it binds."""
        value = getattr(self.node, "value", None)
        return (
            self.is_import
            or isinstance(self.node, (ast.ClassDef, ast.If, ast.Try))
            or type(self.node).__name__ == "TypeAlias"
            or isinstance(value, (ast.Subscript, ast.BinOp, ast.Attribute, ast.Name))
        )

    @cached_property
    def is_settled(self) -> bool:
        """Whether it binds plain data written out, or objects that nothing changes."""
        value = getattr(self.node, "value", None)
        if self.is_import or self.is_definition or value is None:
            return True
        return not any(
            isinstance(node, ast.Await)
            or (isinstance(node, ast.Call) and last_name(node.func) not in _SETTLED)
            for node in ast.walk(value)
        )

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line in the cell, from 1, decorators among them."""
        decorators = getattr(self.node, "decorator_list", [])
        first = min([self.node.lineno, *(each.lineno for each in decorators)])
        return first, self.node.end_lineno or first

    @cached_property
    def text(self) -> str:
        """As it was written, with the comment right above it; ends without a line break."""
        if self.is_import or self._shares_lines:
            return ast.unparse(self.node)
        lines = (self.cell.python or "").split("\n")
        first, last = self.lines
        while first > 1 and lines[first - 2].startswith("#") and not MARK.match(lines[first - 2]):
            first -= 1
        return "\n".join(line.rstrip() if line.isspace() else line for line in lines[first - 1 : last])

    @property
    def _shares_lines(self) -> bool:
        """Another statement is on its first or last line, or it is indented below an `if`."""
        if self.node.col_offset:
            return True
        last = self.lines[1]
        line = (self.cell.python or "").split("\n")[last - 1]
        after = line.encode()[self.node.end_col_offset or 0 :].decode(errors="replace").strip()
        return bool(after) and not after.startswith("#")

    @property
    def where(self) -> str:
        """`cell 3: clf = train(df)`, for people."""
        line = ast.unparse(self.node).split("\n")[0]
        return f"{self.cell.name}: {line if len(line) <= 60 else line[:57] + '…'}"


def pieces_of(cells: Sequence[Cell]) -> list[Piece]:
    """In the order of the cells; those that are no Python are left out."""
    return [
        Piece(cell, node, names_of(node))
        for cell in cells
        if cell.python is not None
        for statement in parse(cell.python).body
        for node in _split(statement)
    ]


def last_name(node: ast.expr) -> str:
    """`fit` of `model.fit`, `train` of `train`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _split(statement: ast.stmt) -> Iterator[ast.stmt]:
    """A name of an import is a piece each; what runs in a notebook, which is `__main__`, is no block."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield ast.copy_location(ast.Import(names=[alias]), statement)
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            single = ast.ImportFrom(module=statement.module, names=[alias], level=statement.level)
            yield ast.copy_location(single, statement)
    elif isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'":
        for inner in statement.body:
            yield from _split(inner)
    elif not isinstance(statement, ast.Pass):
        yield statement
