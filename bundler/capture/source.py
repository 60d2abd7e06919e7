"""The module that a service of some cells becomes: readable, with just what it needs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil

from ...errors import BuildError, ServiceDefinitionError
from .cell import Cell
from .piece import Piece, pieces_of
from .walk import Plan, Session, Walk

_MODULE = "service"
_OTHER_MODULE = "notebook_service"
_PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class Span:
    """Lines of the module that come from a cell."""

    first: int
    last: int
    cell: Cell
    cell_line: int
    """Line of the cell that `first` is; from 1."""


@dataclass(frozen=True)
class Source:
    """Text of the module, and where it comes from."""

    text: str
    services: tuple[str, ...]
    """Names of the classes with `@tiffin.service` in it."""
    cells: tuple[Cell, ...]
    """Those that something was taken from."""
    spans: tuple[Span, ...]
    modules: tuple[tuple[int, str], ...]
    """Modules that it imports, as written: how many dots before, and the dotted name."""
    by_value: tuple[str, ...] = ()
    """Names of objects that have no source: it loads them from the folder `captured` beside it."""
    written: tuple[str, ...] = ()
    """Names whose statements were written anew from their values."""
    sourced: dict[str, frozenset[str]] = field(default_factory=dict)
    """For each of `by_value`, the names that the module has bound when it loads it."""
    latest: dict[str, str] = field(default_factory=dict)
    """Variable to the name of the model that it stands for."""


def source_of(
    cells: Sequence[Cell],
    name: str = "",
    *,
    title: str = "a notebook",
    session: Session | None = None,
) -> Source:
    """Takes out of cells what a service needs.

    Marked cells are taken as they are. Of the others only definitions, imports and constants are, and only
    those that the service or a marked cell needs.

    Args:
        cells: in the order of their execution.
        name: class of the service; empty: those of the marked cells, or all that there are.
        title: of where the cells come from, for the module's docstring.
        session: the live session; None: nothing but the cells is known.

    Raises:
        ServiceDefinitionError: no such service.
        BuildError: it needs what cannot be had from source.
    """
    _check_readable(cells)
    pieces = pieces_of(cells)
    services = _services(pieces)
    in_marked = [each for each in services if any(piece.cell.marked for piece in _binding(pieces, each))]
    wanted = [name] if name else in_marked or services
    if name and name not in services and session is None:
        shown = f"; there is {', '.join(services)}" if services else ""
        raise ServiceDefinitionError(f"{title} has no class {name} with @tiffin.service{shown}")
    if not wanted:
        raise ServiceDefinitionError(
            f"{title} has no class with @tiffin.service: add a cell with one (docs/23-notebook.md)"
        )
    plan = Walk(pieces, session, _hint(cells)).take(wanted, _marked(pieces, wanted, services))
    return _render(pieces, plan, title, services)


def _services(pieces: Sequence[Piece]) -> list[str]:
    """In order, each once."""
    written = {f"{_PACKAGE}.service"}
    for piece in pieces:
        alias = piece.node.names[0] if isinstance(piece.node, (ast.Import, ast.ImportFrom)) else None
        if isinstance(piece.node, ast.Import) and alias and alias.name == _PACKAGE:
            written.add(f"{alias.asname or alias.name}.service")
        elif isinstance(piece.node, ast.ImportFrom) and piece.node.module == _PACKAGE and alias:
            written |= {alias.asname or alias.name} if alias.name == "service" else set()
    found = [
        piece.node.name
        for piece in pieces
        if isinstance(piece.node, ast.ClassDef)
        and any(
            ast.unparse(each.func if isinstance(each, ast.Call) else each) in written
            for each in piece.node.decorator_list
        )
    ]
    return list(dict.fromkeys(found))


def _binding(pieces: Sequence[Piece], name: str) -> list[Piece]:
    return [piece for piece in pieces if name in piece.names.binds]


def _marked(pieces: Sequence[Piece], wanted: Sequence[str], services: Sequence[str]) -> list[int]:
    """Numbers of the pieces that are taken because their cell is marked.

    Not those of a cell for other services, nor of one whose definitions were all made again later: in a
    session that is the same cell before it was edited.
    """
    last = {name: piece.cell for piece in pieces for name in piece.names.binds if piece.is_definition}
    defined: dict[Cell, set[str]] = {}
    for piece in pieces:
        defined.setdefault(piece.cell, set()).update(piece.names.binds if piece.is_definition else ())
    dropped = {
        cell
        for cell, names in defined.items()
        if (names & set(services) and not names & set(wanted))
        or (names and all(last[name] is not cell for name in names))
    }
    return [
        number
        for number, piece in enumerate(pieces)
        if piece.cell.marked and piece.cell not in dropped and not _is_trial(piece)
    ]


def _is_trial(piece: Piece) -> bool:
    """An expression that only shows something, or builds: it has no place in a module."""
    node = piece.node
    if not isinstance(node, ast.Expr):
        return any(isinstance(each, ast.Await) for each in ast.walk(node)) and not piece.is_definition
    if isinstance(node.value, ast.Call):
        called = ast.unparse(node.value.func)
        return called in {f"{_PACKAGE}.build", "display", "print"} or called.startswith("get_ipython")
    return True


def _check_readable(cells: Sequence[Cell]) -> None:
    for cell in cells:
        if cell.marked and cell.python is None:
            raise BuildError(f"{cell.name} is marked as service and is no Python")


def _hint(cells: Sequence[Cell]) -> Callable[[str], str]:
    unreadable = [cell for cell in cells if cell.python is None]

    def hint(name: str) -> str:
        there = [cell.name for cell in unreadable if name in cell.source]
        return f"; {', '.join(there)} has it and is no Python" if there else ""

    return hint


def _render(pieces: Sequence[Piece], plan: Plan, title: str, services: Sequence[str]) -> Source:
    text = _Text()
    places: set[float] = {*plan.source, *plan.written, *plan.by_value}
    cells = list(dict.fromkeys(piece.cell for each in sorted(places) if (piece := _piece_at(pieces, each))))
    numbers = [str(cell.number) for cell in cells if not cell.file]
    told = f": cell{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}" if numbers else ""
    text.add(f'"""Captured from {title} by tiffin{told}."""')
    if any(piece.is_future for piece in pieces):
        futures = sorted({piece.text for piece in pieces if piece.is_future})
        text.add("\n" + "\n".join(futures))
    own = _own_imports(pieces, plan)
    if own:
        text.add("\n" + "\n".join(own))
    now: Cell | None = None
    for place in sorted(places):
        piece = _piece_at(pieces, place)
        if piece is not None and piece.is_future:
            continue
        if piece is not None and piece.cell is not now:
            now = piece.cell
            text.add(f"\n\n# {now.name}" + (f", {now.id}" if now.id else ""))
        for line in plan.written.get(place, {}).values():
            # At half a place it stands in no statement's place: no cell binds it.
            text.add_line(line, piece if float(place).is_integer() else None)
        for name in plan.by_value.get(place, ()):
            text.add_line(f'{name} = _value(__name__, "{name}")')
        if place in plan.source and piece is not None:
            text.add_piece(piece)
    return Source(
        text="\n".join(text.lines) + "\n",
        services=tuple(
            name for name in services if any(name in pieces[each].names.binds for each in plan.source)
        ),
        cells=tuple(cells),
        spans=tuple(text.spans),
        modules=tuple(dict.fromkeys(_modules(pieces, plan))),
        by_value=tuple(name for place in sorted(plan.by_value) for name in plan.by_value[place]),
        written=tuple(sorted({name for lines in plan.written.values() for name in lines})),
        sourced=_sourced(pieces, plan),
        latest=plan.latest,
    )


def _own_imports(pieces: Sequence[Piece], plan: Plan) -> list[str]:
    """What lines of our own making need."""
    models = [place for place, lines in plan.written.items() if "tiffin.models.get(" in str(lines)]
    there = [
        number
        for number in plan.source
        if pieces[number].is_import and "tiffin" in pieces[number].names.binds
    ]
    found = ["import tiffin"] if models and min(models) < min(there, default=len(pieces)) else []
    return found + (["from tiffin.runtime.captured import value as _value"] if plan.by_value else [])


def _piece_at(pieces: Sequence[Piece], place: float) -> Piece | None:
    """Half places are before their piece; None: there are no pieces."""
    return pieces[max(0, ceil(place))] if pieces else None


def _sourced(pieces: Sequence[Piece], plan: Plan) -> dict[str, frozenset[str]]:
    """For each pickle, the names that the module has bound when it reads it."""
    found = {}
    before: set[str] = set()
    for place in sorted({*plan.source, *plan.by_value}):
        for name in plan.by_value.get(place, ()):
            found[name] = frozenset(before)
            before.add(name)
        piece = _piece_at(pieces, place) if place in plan.source else None
        before |= piece.names.binds if piece is not None else set()
    return found


class _Text:
    """Lines, and which cell they are of."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.spans: list[Span] = []
        self._before = ""

    def add(self, text: str) -> None:
        self.lines += text.split("\n")
        self._before = ""

    def add_line(self, text: str, piece: Piece | None = None) -> None:
        """Of our own making, in place of a statement of the piece."""
        self._space("line")
        first = len(self.lines) + 1
        self.lines += text.split("\n")
        if piece is not None:
            self.spans += [
                Span(line, line, piece.cell, piece.lines[0]) for line in range(first, len(self.lines) + 1)
            ]

    def _space(self, kind: str) -> None:
        if self._before and "definition" in {kind, self._before}:
            self.lines += ["", ""]
        elif self._before and kind != self._before and "import" in {kind, self._before}:
            self.lines.append("")
        self._before = kind

    def add_piece(self, piece: Piece) -> None:
        self._space("definition" if piece.is_definition else "import" if piece.is_import else "line")
        lines = piece.text.split("\n")
        first, last = piece.lines
        above = max(0, len(lines) - (last - first + 1))
        at = len(self.lines) + 1 + above
        self.lines += lines
        self.spans.append(Span(at, len(self.lines), piece.cell, first))


def _modules(pieces: Sequence[Piece], plan: Plan) -> Iterator[tuple[int, str]]:
    """Those of statements, in functions too, and of what was written anew."""
    written = [ast.parse(line) for lines in plan.written.values() for line in lines.values()]
    for tree in [*(pieces[number].node for number in sorted(plan.source)), *written]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((0, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
                yield node.level, node.module or ""
                # `from package import module`
                yield from ((node.level, f"{node.module or ''}.{alias.name}") for alias in node.names)


def top_levels(modules: Sequence[tuple[int, str]]) -> frozenset[str]:
    """The modules that distributions bring, those of the standard library left out."""
    found = {name.partition(".")[0] for level, name in modules if not level}
    return frozenset(found - sys.stdlib_module_names - {"", _PACKAGE})


def module_of(source: Source) -> str:
    """Name of the module that it is written to: none that it imports."""
    used = {name.partition(".")[0] for _, name in source.modules}
    return _OTHER_MODULE if _MODULE in used else _MODULE
