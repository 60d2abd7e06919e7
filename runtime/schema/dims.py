"""Shapes as jaxtyping writes them: `"n 4"`, `"*batch 3 h w"`, `"... n+1"`.

The grammar is the documented one (docs.kidger.site/jaxtyping): axes are separated by spaces; an axis is a
size, a name, or an expression of names; `...` and `*name` stand for any number of axes (once in a shape), `_`
for an axis of any size; `#` lets size 1 stand for any; `?` keeps a name out of the comparison with others;
`rows=4` is 4.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from .wrong import WrongValueError

MAX_AXES = 32
"""numpy 1.26 allows no more."""


@dataclass(frozen=True)
class Axis:
    """One entry of a shape."""

    text: str
    size: int | None = None
    """A fixed size."""
    name: str = ""
    """A size to be compared with other axes of that name."""
    code: CodeType | None = None
    """An expression of other axes' names."""
    needs: frozenset[str] = frozenset()
    """Names the expression uses."""
    stretches: bool = False
    """`#`: a size of 1 fits too."""
    many: bool = False
    """`...` or `*name`: any number of axes."""


def _axis(text: str) -> Axis:
    if text == "...":
        return Axis(text, many=True)
    body, stretches, many, anonymous, private = text, False, False, False, False
    while body and body[0] in "#*_?":
        stretches |= body[0] == "#"
        many |= body[0] == "*"
        anonymous |= body[0] == "_"
        private |= body[0] == "?"
        body = body[1:]
    if "=" in body and "==" not in body:
        body = body.partition("=")[2]
    if anonymous or not body:
        return Axis(text, many=many)
    if body.isdecimal():
        return Axis(text, size=int(body), stretches=stretches)
    if body.isidentifier():
        return Axis(text, name="" if private else body, stretches=stretches, many=many)
    return _expression(text, body, stretches)


def _expression(text: str, body: str, stretches: bool) -> Axis:
    try:
        tree = ast.parse(body, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"axis {text!r} is neither a size, a name nor an expression") from error
    needs = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    if any(isinstance(node, (ast.Call, ast.Attribute, ast.Set, ast.Dict)) for node in ast.walk(tree)):
        raise ValueError(f"axis {text!r} must be arithmetic on the names of other axes, as n+1")
    return Axis(text, code=compile(tree, "<axis>", "eval"), needs=needs, stretches=stretches)


@dataclass
class Dims:
    """A shape to hold arrays against.

    Args:
        text: as in the hint.
        axes: its entries.
    """

    text: str
    axes: tuple[Axis, ...]
    variadic: int | None = field(init=False)
    """Position of `...`."""
    linked: bool = field(init=False)
    """Whether sizes must agree with each other inside one array (`n n`, `n n+1`)."""
    sizes: tuple[tuple[int, int, bool], ...] = field(init=False)
    """(axis, size, stretches) of each fixed axis; counted from the end behind a `...`."""

    def __post_init__(self) -> None:
        many = [at for at, axis in enumerate(self.axes) if axis.many]
        if len(many) > 1:
            raise ValueError(f"shape {self.text!r} has more than one `...` or `*name`")
        if len(self.axes) > MAX_AXES:
            raise ValueError(
                f"shape {self.text!r} has {len(self.axes)} axes, at most {MAX_AXES} are possible"
            )
        self.variadic = many[0] if many else None
        names = [axis.name for axis in self.axes if axis.name]
        self.linked = len(set(names)) < len(names) or any(axis.code for axis in self.axes)
        behind = len(self.axes) if self.variadic is None else self.variadic
        self.sizes = tuple(
            (at if at < behind else at - len(self.axes), axis.size, axis.stretches)
            for at, axis in enumerate(self.axes)
            if axis.size is not None
        )

    @classmethod
    def parse(cls, text: str) -> Dims:
        """Raises ValueError for what the grammar does not allow."""
        return cls(text.strip(), tuple(_axis(part) for part in text.split()))

    @property
    def ndim(self) -> int | None:
        """Number of axes, when it is fixed."""
        return len(self.axes) if self.variadic is None else None

    @property
    def names(self) -> frozenset[str]:
        return frozenset(axis.name for axis in self.axes if axis.name)

    @property
    def needs(self) -> frozenset[str]:
        """Names used in expressions."""
        return frozenset().union(*(axis.needs for axis in self.axes)) if self.axes else frozenset()

    @property
    def standalone(self) -> bool:
        """Whether jaxtyping's own isinstance can judge it without the other parameters."""
        return not any(axis.code is not None or "?" in axis.text for axis in self.axes)

    def spec(self) -> list[int | str]:
        """As the manifest writes it."""
        return ["..." if axis.many else axis.text if axis.size is None else axis.size for axis in self.axes]

    def __str__(self) -> str:
        return "[" + ", ".join(str(entry) for entry in self.spec()) + "]"

    def check(self, shape: tuple[int, ...]) -> None:
        """Number of axes and fixed sizes; raises WrongValueError. Names: see `bind`."""
        if self.variadic is None:
            if len(shape) != len(self.axes):
                raise self._wrong(shape)
        elif len(shape) < len(self.axes) - 1:
            raise self._wrong(shape)
        for at, size, stretches in self.sizes:
            if shape[at] != size and not (stretches and shape[at] == 1):
                raise self._wrong(shape)

    def front_and_tail(self) -> tuple[int | None, tuple[int, ...]]:
        """(2, (3, 4)) for "n m 3 4": how many free axes stand in front of fixed sizes, and these.

        (None, ()) for every other shape, which `check` and `bind` must look at.
        """
        front = next((at for at, axis in enumerate(self.axes) if axis.size is not None), len(self.axes))
        tail = tuple(axis.size for axis in self.axes[front:] if axis.size is not None and not axis.stretches)
        plain = self.variadic is None and not self.linked and front + len(tail) == len(self.axes)
        return (front, tail) if plain else (None, ())

    def _wrong(self, shape: tuple[int, ...]) -> WrongValueError:
        return WrongValueError(f"expected shape {self}, got {list(shape)}")

    def bind(self, shape: tuple[int, ...], sizes: dict[str, Any]) -> None:
        """Compares named axes with `sizes` and adds the new names; the shape has passed `check`.

        Raises:
            WrongValueError: another array, or another axis, gave that name another size.
        """
        for axis, length in self._pairs(shape):
            size = length
            if not axis.name:
                continue
            known = sizes.get(axis.name)
            if axis.stretches:
                if size == 1:
                    continue
                if axis.many and known is not None:
                    size = known = self._broadcast(known, size, shape)
            if known is None:
                sizes[axis.name] = size
            elif known != size:
                raise WrongValueError(
                    f"expected shape {self} with {axis.name} = {_plain(known)} as elsewhere in this request, "
                    f"got {list(shape)}"
                )

    def _broadcast(
        self, known: tuple[int, ...], size: tuple[int, ...], shape: tuple[int, ...]
    ) -> tuple[int, ...]:
        import numpy as np

        try:
            return np.broadcast_shapes(known, size)
        except ValueError:
            raise WrongValueError(
                f"expected shape {self} that broadcasts with {list(known)} elsewhere in this request, "
                f"got {list(shape)}"
            ) from None

    def evaluate(self, shape: tuple[int, ...], sizes: dict[str, Any]) -> None:
        """Checks the expressions, when every name is bound.

        Raises:
            WrongValueError: an axis is not what its expression says.
        """
        for axis, size in self._pairs(shape):
            if axis.code is None or (axis.stretches and size == 1):
                continue
            try:
                expected = eval(axis.code, {"__builtins__": {}}, dict(sizes))  # noqa: S307 - arithmetic only
            except (ArithmeticError, TypeError, ValueError, NameError) as error:
                raise WrongValueError(f"cannot compute axis {axis.text} of shape {self}: {error}") from error
            if expected != size:
                raise WrongValueError(
                    f"expected shape {self} with {axis.text} = {expected}, got {list(shape)}"
                )

    def _pairs(self, shape: tuple[int, ...]) -> list[tuple[Axis, Any]]:
        """Each axis with its size; a variadic one with a tuple of sizes."""
        if self.variadic is None:
            return list(zip(self.axes, shape, strict=True))
        tail = len(self.axes) - self.variadic - 1
        stop = len(shape) - tail
        middle = [(self.axes[self.variadic], shape[self.variadic : stop])]
        front = list(zip(self.axes[: self.variadic], shape[: self.variadic], strict=True))
        return [*front, *middle, *zip(self.axes[self.variadic + 1 :], shape[stop:], strict=True)]

    def empty(self, given: tuple[int, ...]) -> tuple[int, ...] | None:
        """The shape that `[]` stands for: (0,) for "n 4" is (0, 4); None when that cannot be told.

        Args:
            given: shape with a zero in it and fewer axes than the hint.
        """
        if self.variadic is not None or len(given) >= len(self.axes):
            return None
        rest = self.axes[len(given) :]
        return (*given, *(axis.size if axis.size is not None else 0 for axis in rest))

    def sample(self) -> tuple[int, ...]:
        """A small shape that fits: every name is 1, `...` nothing."""
        sizes: dict[str, Any] = dict.fromkeys(self.names | self.needs, 1)
        shape = []
        for axis in self.axes:
            if axis.many:
                continue
            if axis.code is not None:
                value = eval(axis.code, {"__builtins__": {}}, dict(sizes))  # noqa: S307 - arithmetic only
                shape.append(max(int(value), 0))
            else:
                shape.append(1 if axis.size is None else axis.size)
        return tuple(shape)


def _plain(size: Any) -> str:
    return str(list(size)) if isinstance(size, tuple) else str(size)
