"""From a service to the statements that it needs: its definitions, imports and constants, and no more."""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...errors import BuildError
from ...runtime.service.options import nearest
from .names import binds_out_of_sight
from .piece import Piece
from .training import Trained, asked_words, asks, runner_words, saves, training_of

_GIVEN = frozenset(dir(builtins)) | {
    "__file__", "__name__", "__doc__", "__package__", "__spec__", "__loader__", "__class__", "__builtins__",
    "__annotations__", "__module__", "__qualname__",
}  # fmt: skip
_NOTEBOOK_ONLY = frozenset({"get_ipython", "display", "In", "Out", "_", "__", "___", "_ih", "_oh", "_dh"})


class Session(Protocol):
    """The names of a live session; a file has none."""

    def has(self, name: str) -> bool:
        """Whether the name is bound there now."""

    def is_current(self, piece: Piece, name: str) -> bool:
        """Whether a definition is the one that the name stands for now; True when that cannot be told."""

    def agrees(self, piece: Piece, name: str) -> bool:
        """Whether an assignment gives what the name stands for now; True when that cannot be told."""

    def check_no_model(self, name: str, piece: Piece, chain: str) -> None:
        """Raises `BuildError` when the object is a trained model."""

    def runner_classes(self, name: str) -> list[str]:
        """Names of the classes that workers of a service construct, which they must find by name."""

    def settle(self, name: str, why: Trained | None, chain: str) -> str | None:
        """Python that gives the object: an import, plain data; None: it has to go by value."""


@dataclass
class Plan:
    """What goes into the module, by number of the piece, which is its place."""

    source: set[int] = field(default_factory=set)
    written: dict[float, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Name to statement, for what is known by its value."""
    by_value: dict[float, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Names whose objects are pickled, in the order in which they are read."""
    latest: dict[str, str] = field(default_factory=dict)
    """Variable to the name of the saved model that it stands for, whose newest version is taken."""


class Walk:
    """
    Args:
        pieces: all statements, in the order of their execution.
        session: None: the cells are those of a file, and there are no objects.
        hint: what to say when a name is bound nowhere.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        session: Session | None = None,
        hint: Callable[[str], str] | None = None,
    ) -> None:
        self.pieces = pieces
        self.plan = Plan()
        self._session = session
        self._hint = hint or (lambda _: "")
        self._trained = training_of(pieces, reading=session is not None)
        self._at: dict[str, list[int]] = defaultdict(list)
        for number, piece in enumerate(pieces):
            for name in piece.names.binds:
                self._at[name].append(number)
        self._changers = _changers(pieces)
        self._waiting: list[tuple[str, int | None, str, bool]] = []
        self._done: set[tuple[str, int | None]] = set()
        self._called: set[tuple[int, int]] = set()
        self._globals: dict[str, set[int]] = defaultdict(set)
        """Names that are had from source, and where they are bound."""

    def take(self, names: Iterable[str], numbers: Iterable[int] = ()) -> Plan:
        """
        Args:
            names: of the services.
            numbers: of pieces that the user has marked; they are taken whatever they do.

        Raises:
            BuildError: something needed is a trained model, or is defined nowhere.
        """
        for number in numbers:
            self._check_marked(self.pieces[number])
            self._choose(number, self.pieces[number].cell.name)
        self._waiting += [(name, None, name, False) for name in names]
        while self._waiting:
            self._follow()
            self._take_changers()
        return self.plan

    def _follow(self) -> None:
        while self._waiting:
            name, before, chain, is_hint = self._waiting.pop()
            if (name, before) in self._done:
                continue
            if not is_hint:
                self._done.add((name, before))
            number = self._binding(name, before)
            if number is None:
                if not is_hint:
                    self._unbound(name, before, chain)
                continue
            piece = self.pieces[number]
            if is_hint and not piece.is_type:
                continue
            self._take(number, name, chain, before)

    def _binding(self, name: str, before: int | None) -> int | None:
        """The statement that counts: the last one, or the last before a statement that needs it at once."""
        found = self._at.get(name, [])
        if before is not None:
            return next((each for each in reversed(found) if each < before), found[-1] if found else None)
        if self._session is not None:
            current = (
                each
                for each in reversed(found)
                if not self.pieces[each].is_definition or self._session.is_current(self.pieces[each], name)
            )
            return next(current, None)
        return found[-1] if found else None

    def _take(self, number: int, name: str, chain: str, moment: int | None) -> None:
        piece = self.pieces[number]
        trained = self._trained.get((number, name))
        if trained is not None and not piece.cell.marked:
            self._take_trained(number, trained, chain)
            return
        # What it is now says nothing of what it was before a later statement bound it anew.
        is_now = moment is None or number == self._at[name][-1]
        if self._session is not None and not piece.is_import and is_now:
            self._session.check_no_model(name, piece, chain)
            if not self._session.agrees(piece, name) and not self._changers.get(name):
                self._take_value(number, name, Trained(name, piece), chain)
                return
        if piece.imports_top:
            for other in self._at[name]:
                if self.pieces[other].imports_top:
                    self._choose(other, chain)
        self._choose(number, chain, moment)
        self._globals[name].add(number)
        if name in piece.names.perhaps and self._at[name][0] < number:
            self._waiting.append((name, number, chain, False))

    def _choose(self, number: int, chain: str, moment: int | None = None) -> None:
        """
        Args:
            moment: number of the piece that needs it at once, and may call it: then what it looks up must be
                there, too, as it was then.
        """
        names = self.pieces[number].names
        if moment is not None and (number, moment) not in self._called:
            self._called.add((number, moment))
            self._waiting += [(name, moment, f"{chain} → {name}", False) for name in sorted(names.later)]
        if number in self.plan.source:
            return
        self.plan.source.add(number)
        for name in names.binds:
            self._globals[name].add(number)
        self._waiting += [(name, number, f"{chain} → {name}", False) for name in sorted(names.now)]
        self._waiting += [(name, None, f"{chain} → {name}", False) for name in sorted(names.later)]
        self._waiting += [(name, None, f"{chain} → {name}", True) for name in sorted(names.hints)]

    def _take_trained(self, number: int, trained: Trained, chain: str) -> None:
        model = saves(getattr(self.pieces[number].node, "value", None) or ast.Pass())
        if self._session is not None and self._session.has(trained.name):
            self._take_value(number, trained.name, trained, chain)
        elif model:  # the answer of `tiffin.models.save` is the saved model
            self.plan.written[number][trained.name] = (
                f"{trained.name} = tiffin.models.get({f'{model}:latest'!r})"
            )
            self.plan.latest[trained.name] = model
        else:
            raise BuildError(trained_words(trained, chain))

    def _take_value(self, place: float, name: str, why: Trained | None, chain: str) -> None:
        assert self._session is not None  # noqa: S101 - for the type checker: callers have asked
        statement = self._session.settle(name, why, chain)
        if statement is None:
            for each in (*self._session.runner_classes(name), name):
                if each not in self.plan.by_value[place]:
                    self.plan.by_value[place].append(each)
        else:
            self.plan.written[place][name] = statement

    def _unbound(self, name: str, before: int | None, chain: str) -> None:
        stars = [number for number, piece in enumerate(self.pieces) if piece.is_star]
        if self._session is not None and self._session.has(name) and name not in _NOTEBOOK_ONLY:
            first = min(self.plan.source, default=0) if before is None else before
            self._take_value(first - 0.5, name, None, chain)
        elif name in _GIVEN:
            return
        elif stars:
            for number in stars:
                self._choose(number, chain)
        elif name in _NOTEBOOK_ONLY:
            raise BuildError(
                f"{chain}: {name} exists only in a notebook, not in a server: take it out of the service"
            )
        else:
            makers = [number for number, piece in enumerate(self.pieces) if binds_out_of_sight(piece.node)]
            if self.plan.source.intersection(makers):
                return  # whether it is bound is asked when the module has been imported
            raise BuildError(
                f"{chain}: {name} is defined {self._nowhere()}{self._near(name, chain)}{self._hint(name)}"
                + "".join(_maker_words(self.pieces[number]) for number in makers[:1])
            )

    def _nowhere(self) -> str:
        script = next((piece.cell.file for piece in self.pieces), "")
        return f"nowhere in what {script} has executed" if script else "in no cell"

    def _near(self, name: str, chain: str) -> str:
        """The attribute that `self.` was left out of, or a name that some cell binds."""
        for part in chain.split(" → ")[:-1]:
            for number in self._at.get(part, ()):
                node = self.pieces[number].node
                if isinstance(node, ast.ClassDef) and name in _attributes(node):
                    return f"; did you mean 'self.{name}'?"
        return nearest(name, list(self._at))

    def _take_changers(self) -> None:
        """`WORDS["a"] = 1` belongs to `WORDS`: without it the module would not be what the notebook was."""
        for name, bound in list(self._globals.items()):
            for number in self._changers.get(name, ()):
                piece = self.pieces[number]
                if number in self.plan.source or number < min(bound) or self._is_module(bound):
                    continue
                if any(
                    (at, each) in self._trained for each in piece.names.now for at in self._at.get(each, ())
                ):
                    self._change_by_training(name, max(bound), piece)
                else:
                    self._choose(number, name)

    def _is_module(self, bound: set[int]) -> bool:
        """Settings of a library are none of the service's; a cell that makes them can be marked."""
        return all(self.pieces[number].is_import for number in bound)

    def _change_by_training(self, name: str, number: int, piece: Piece) -> None:
        self._globals.pop(name)
        self.plan.source.discard(number)
        self._take_trained(number, Trained(name, piece), name)

    @staticmethod
    def _check_marked(piece: Piece) -> None:
        if any(saves(node) is not None for node in ast.walk(piece.node)) and not piece.is_definition:
            raise BuildError(
                f"{piece.where}: the cell is marked as service, and would save a model whenever a server "
                "starts: train and save in another cell"
            )


def trained_words(trained: Trained, chain: str) -> str:
    """Why a name cannot be had, and what to do."""
    name, where = trained.name, trained.piece.where
    if asks(trained.piece.node):
        return asked_words(name, where, chain)
    words = f"{chain}: {name} is made by training or from data ({where}), which no server repeats.\n"
    if trained.saved_as:
        return words + runner_words(name, trained.saved_as)
    return (
        f"{words}{runner_words(name)}\n"
        "A small value: write it out, save it with the model (classes=, metadata=), or call "
        "tiffin.build in the notebook, which takes the value that it has.\n"
        "If it is nothing of that, put it into a cell that begins with `# tiffin: service`"
    )


def _attributes(node: ast.ClassDef) -> set[str]:
    """Names that a class binds in its body, or on `self`."""
    found = {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)
    }
    for statement in node.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(statement.name)
        else:
            found |= {
                each.id
                for each in ast.walk(statement)
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            }
    return found


def _maker_words(piece: Piece) -> str:
    return (
        f"\n{piece.where}: does that define it? What is made so is not seen; a cell that begins with "
        "`# tiffin: service` is run by the server, too"
    )


def _changers(pieces: Sequence[Piece]) -> dict[str, list[int]]:
    """Name to the pieces that change its object, themselves or by a function of the cells that they call."""
    by_calls: dict[str, frozenset[str]] = {}
    found: dict[str, list[int]] = defaultdict(list)
    for number, piece in enumerate(pieces):
        if any(isinstance(node, ast.Await) for node in ast.walk(piece.node)) and not piece.is_definition:
            continue  # no module can do that
        changes = set(piece.names.changes)
        for called in piece.names.now & by_calls.keys():
            changes |= by_calls[called]
        for name in changes:
            found[name].append(number)
        # Not of a class: what a trial of the service leaves behind is none of it.
        if piece.is_definition and not isinstance(piece.node, ast.ClassDef) and piece.names.later_changes:
            by_calls |= dict.fromkeys(piece.names.binds, piece.names.later_changes)
    return found
