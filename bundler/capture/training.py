"""Which statements train or read data, and what they leave behind: it is made once and never when serving."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .magics import SHELL
from .names import root_of
from .piece import Piece, last_name

_TRAINS = frozenset(
    {
        "backward", "cross_val_predict", "cross_val_score", "cross_validate", "fit", "fit_generator",
        "fit_predict", "fit_resample", "fit_transform", "load_state_dict", "load_weights", "partial_fit",
        "step", "train", "train_on_batch", "train_test_split", "update_model",
    }
)  # fmt: skip
_ASKS = frozenset({"input", "getpass"})
_READS = frozenset({"open", "read_bytes", "read_text"})


@dataclass(frozen=True)
class Trained:
    """A name whose object only the session has."""

    name: str
    piece: Piece
    """The statement that made or changed it."""
    saved_as: str = ""
    """Name of the model that it was saved as; empty: it was not."""


def training_of(pieces: Sequence[Piece], *, reading: bool = False) -> dict[tuple[int, str], Trained]:
    """What must not be run again.

    Args:
        pieces: in the order of their execution.
        reading: whether what is read from files is such, too.

    Returns:
        Number of the piece that binds a name, and the name, to why it cannot be had from source.
    """
    trainers = _functions_that_train(pieces)
    saved = dict(_saved(pieces))
    found: dict[tuple[int, str], Trained] = {}
    bound_at: dict[str, int] = {}
    for number, piece in enumerate(pieces):
        if piece.is_definition:
            bound_at |= dict.fromkeys(piece.names.binds, number)
            continue
        trains = any(_trains(node, trainers) for node in _run(piece.node))
        stale = [name for name in piece.names.now if (bound_at.get(name, -1), name) in found]
        if trains:
            for name in _touched(piece.node, trainers):
                at = bound_at.get(name, -1)
                if at >= 0 and not pieces[at].is_settled:
                    found[at, name] = Trained(name, piece, saved.get(name, ""))
        bound_at |= dict.fromkeys(piece.names.binds, number)
        loaded = loads(getattr(piece.node, "value", None))
        if loaded is not None:
            saved |= dict.fromkeys(piece.names.binds, loaded)
        if (
            trains or stale or loaded is not None or (reading and reads_files(piece.node))
        ) and not piece.is_import:
            for name in piece.names.binds:
                found[number, name] = Trained(name, piece, saved.get(name, ""))
    for name, model in saved.items():
        at = bound_at.get(name, -1)
        if at >= 0 and not pieces[at].is_import and not pieces[at].is_definition:
            found.setdefault((at, name), Trained(name, pieces[at], model))
    return found


def runner_words(name: str, saved_as: str = "") -> str:
    """How a service calls a model in place of a global.

    Args:
        saved_as: name of the saved model; empty: it has yet to be saved.
    """
    model = saved_as or name.lower()
    first = (
        f"It is saved as model {model!r}: write "
        if saved_as
        else f"A model: tiffin.models.save({model!r}, {name}, example=…) where it is trained, then "
    )
    return (
        f"{first}{name} = tiffin.runner('{model}:latest') in the class, and "
        f"self.{name}.predict(…) for {name}.predict(…)"
    )


def asked_words(name: str, where: str, chain: str) -> str:
    """Why what a person typed cannot go along: no server asks, and in a bundle all could read it."""
    return (
        f"{chain}: {name} is typed in ({where}), which no server can ask for, and no bundle should hold: "
        f"let the service read it when it starts, {name} = os.environ[{name.upper()!r}]"
    )


def saves(node: ast.AST) -> str | None:
    """`iris` of `tiffin.models.save("iris", forest)`; empty when it is no text; None: no such call."""
    if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("models.save"):
        return None
    name = node.args[0] if node.args else _keyword(node, "name")
    return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""


def loads(node: ast.AST | None) -> str | None:
    """`iris` of `tiffin.models.get("iris:latest").load()`; None: no such call."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load":
        got = node.func.value
        if isinstance(got, ast.Call) and ast.unparse(got.func).endswith("models.get") and got.args:
            tag = got.args[0]
            text = tag.value if isinstance(tag, ast.Constant) else ""
            return str(text).partition(":")[0]
    return None


def reads_files(node: ast.AST) -> bool:
    """Whether it opens a file when it is executed: `open(…)`, `pd.read_csv(…)`."""
    return any(
        isinstance(each, ast.Call)
        and (last_name(each.func) in _READS or last_name(each.func).startswith("read_"))
        for each in _run(node)
    )


def asks(node: ast.AST) -> bool:
    """Whether it asks a person: a password, most often."""
    return any(isinstance(each, ast.Call) and last_name(each.func) in _ASKS for each in _run(node))


def _saved(pieces: Sequence[Piece]) -> Iterator[tuple[str, str]]:
    """Variable to the name of the model that it was saved as."""
    for piece in pieces:
        for node in _run(piece.node):
            model = saves(node)
            if model is not None and isinstance(node, ast.Call):
                value = node.args[1] if len(node.args) > 1 else _keyword(node, "obj")
                if isinstance(value, ast.Name):
                    yield value.id, model


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in node.keywords if each.arg == name), None)


def _functions_that_train(pieces: Sequence[Piece]) -> frozenset[str]:
    """Names of functions and classes in the cells in which something is trained, directly or by another."""
    calls: Mapping[str, set[str]] = {
        name: {last_name(node.func) for node in ast.walk(piece.node) if isinstance(node, ast.Call)}
        for piece in pieces
        if piece.is_definition
        for name in piece.names.binds
    }
    found: set[str] = set()
    while more := {
        name for name, called in calls.items() if name not in found and called & (_TRAINS | found)
    }:
        found |= more
    return frozenset(found)


def _trains(node: ast.AST, trainers: frozenset[str]) -> bool:
    if isinstance(node, ast.Call):
        name = last_name(node.func)
        return (
            name in _TRAINS or name in trainers or name in _ASKS or name == SHELL or saves(node) is not None
        )
    return isinstance(node, ast.Await)  # which no module can do


def _touched(statement: ast.stmt, trainers: frozenset[str]) -> Iterator[str]:
    """Names of objects that training may have changed: what is fitted, and what is given to a trainer."""
    loop = isinstance(statement, (ast.For, ast.While, ast.With, ast.AsyncFor, ast.AsyncWith))
    for node in _run(statement):
        if isinstance(node, ast.Call) and saves(node) is None and (loop or _trains(node, trainers)):
            yield root_of(node.func)
            values = [*node.args, *(each.value for each in node.keywords)]
            yield from (value.id for value in values if isinstance(value, ast.Name))


def _run(statement: ast.AST) -> Iterator[ast.AST]:
    """What is executed with a statement: the bodies of functions are not."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += node.decorator_list
        elif not isinstance(node, ast.Lambda):
            waiting += ast.iter_child_nodes(node)
