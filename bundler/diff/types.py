"""How two `TypeSpec`s differ: kind, dtype, shape, columns, JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...runtime.manifest import TypeSpec
from ...runtime.words import type_words
from .change import Fact, Kind
from .json_schemas import Schemas

_ARRAYS = {"array", "tensor"}
# Whatever is sent for one is taken for the other.
_ALIKE = (
    {"array", "tensor"},
    {"json", "number"},
    {"json", "text"},
    {"json", "boolean"},
    {"number", "boolean"},
)


def type_facts(old: TypeSpec | None, new: TypeSpec | None) -> list[Fact]:
    """What differs; empty when nothing does. None: nothing is known of it."""
    if old is None or new is None:
        if old is new:
            return []
        return [Fact("", "narrower" if old is None else "wider", f"{type_words(old)} → {type_words(new)}")]
    if old.kind != new.kind and {old.kind, new.kind} not in _ALIKE:
        return [Fact("", "other", f"{type_words(old)} → {type_words(new)}")]
    if old.kind in _ARRAYS and new.kind in _ARRAYS:
        return [*_dtypes(old, new), *_shapes(old.shape, new.shape), *_classes(old, new)]
    if old.kind == new.kind == "dataframe":
        return [*_columns(old, new)]
    facts = Schemas(old.json_schema, new.json_schema).facts()
    return facts if old.json_schema and new.json_schema else [*_dtypes(old, new), *facts]


def _dtypes(old: TypeSpec, new: TypeSpec) -> Iterator[Fact]:
    before, after = _named(old), _named(new)
    if set(before) == set(after):
        return
    what = f"dtype {' or '.join(before) or 'any'} → {' or '.join(after) or 'any'}"
    if not before or not after:
        yield Fact("", "narrower" if after else "wider", what)
        return
    yield Fact("", _direction(_holds(after, before), _holds(before, after)), what)


def _direction(takes_all: bool, gave_all: bool) -> Kind:
    """
    Args:
        takes_all: every old value is a new one.
        gave_all: every new value is an old one.
    """
    if takes_all:
        return "harmless" if gave_all else "wider"
    return "narrower" if gave_all else "other"


def _holds(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """Whether each value of the narrow types is exactly one of the wide ones."""
    return all(any(_fits(one, other) for other in wide) for one in narrow)


def _fits(narrow: str, wide: str) -> bool:
    import numpy as np

    if narrow == wide:
        return True
    if narrow == "bfloat16":
        return wide in {"float32", "float64"}
    try:
        return bool(np.can_cast(np.dtype(narrow), np.dtype(wide), "safe"))
    except TypeError:  # bfloat16 and what else numpy does not have
        return False


def _named(spec: TypeSpec) -> list[str]:
    return [spec.dtype] if spec.dtype else list(spec.dtypes)


def _shapes(old: list[int | str] | None, new: list[int | str] | None) -> Iterator[Fact]:
    if old == new:
        return
    what = f"shape {_shown(old)} → {_shown(new)}"
    if old is None or new is None:
        yield Fact("", "wider" if new is None else "narrower", what)
    elif ("..." in old) != ("..." in new):
        yield Fact("", "wider" if "..." in new else "narrower", what)
    elif len(old) != len(new) or "..." in old:
        yield Fact("", "other", what)
    else:
        pairs = list(zip(old, new, strict=True))
        wider = any(isinstance(one, int) and isinstance(other, str) for one, other in pairs)
        narrower = any(isinstance(one, str) and isinstance(other, int) for one, other in pairs)
        apart = any(isinstance(one, int) and isinstance(other, int) and one != other for one, other in pairs)
        if apart or (wider and narrower):
            yield Fact("", "other", what)
        elif wider or narrower:
            yield Fact("", "wider" if wider else "narrower", what)
        elif _ties(old) != _ties(new):
            yield Fact("", "other", what)


def _ties(shape: list[int | str]) -> list[int]:
    """Which axes must be equally long; how they are called does not matter."""
    return [shape.index(axis) for axis in shape]


def _columns(old: TypeSpec, new: TypeSpec) -> Iterator[Fact]:
    before, after = old.columns, new.columns
    if before is None or after is None:
        if before != after:
            listed = ", ".join(after or before or {})
            what = f"columns {listed} are fixed" if after is not None else "columns are free"
            yield Fact("", "narrower" if after is not None else "wider", what)
        return
    for name, dtype in before.items():
        if name not in after:
            yield Fact(f"[{name!r}]", "removed", "column removed")
        elif dtype != after[name]:
            kind = _direction(_holds([after[name]], [dtype]), _holds([dtype], [after[name]]))
            yield Fact(f"[{name!r}]", kind, f"dtype {dtype} → {after[name]}")
    for name in after:
        if name not in before:
            yield Fact(f"[{name!r}]", "narrower", f"new column {name}")


def _classes(old: TypeSpec, new: TypeSpec) -> Iterator[Fact]:
    if old.classes != new.classes and old.classes is not None and new.classes is not None:
        kind: Kind = "wider" if new.classes > old.classes else "narrower"
        yield Fact("", kind, f"{old.classes} → {new.classes} classes")


def _shown(shape: list[int | str] | None) -> str:
    return "any" if shape is None else f"[{', '.join(map(str, shape))}]"
