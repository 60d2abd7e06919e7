"""A saved model as HTML: what it takes and gives, how large it is, what to write next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import TiffinError
from ..card import Table, card
from ..manifest import MethodSpec, TypeSpec
from ..words import digest_words, size_words, time_words, type_words

if TYPE_CHECKING:
    from .model import Model

_SHOWN = 8
"""Classes, and columns of a data frame."""


def model_card(model: Model) -> str:
    """HTML; of a model that cannot be read it says why."""
    try:
        info = model.info
    except TiffinError as error:
        return card(f"Model {model.tag}", [("unreadable", error)])
    facts = [
        ("framework", f"{info.framework}{', a pickle' if info.pickled else ''}"),
        ("size", size_words(info.size_bytes)),
        ("digest", digest_words(info.digest)),
        ("created", f"{time_words(info.created)} UTC"),
        ("classes", _listed(info.classes)),
        ("labels", _pairs(info.labels)),
        ("metrics", _pairs(info.provenance.get("metrics", {}))),
        ("metadata", _pairs(info.metadata)),
    ]
    steps = [f'tiffin.runner("{model.tag.name}:latest")', f"bundle models show {model.tag}"]
    return card(f"Model {model.tag}", facts, [signature_table(info.methods)], steps)


def signature_table(methods: Mapping[str, MethodSpec]) -> Table:
    """A row for each input and output of each method; the method's name on its first."""
    return Table(
        ["method", "", "type", "shape"], [row for name in methods for row in _rows(name, methods[name])]
    )


def _rows(name: str, method: MethodSpec) -> Iterator[tuple[str, str, str, str]]:
    values: list[tuple[str, TypeSpec]] = list(method.inputs.items())
    if method.output is not None:
        values.append(("→", method.output))
    yield from ((name if not place else "", *_described(*value)) for place, value in enumerate(values))
    if not values:
        yield name, "", "not known: save with example=", ""


def _described(name: str, spec: TypeSpec) -> tuple[str, str, str]:
    shape = "" if spec.shape is None else f"({', '.join(map(str, spec.shape))})"
    if spec.kind in {"array", "tensor"}:
        kind = spec.dtype or " or ".join(spec.dtypes) or "any"
    elif spec.kind == "dataframe" and spec.columns:
        kind = f"data frame: {_listed(f'{column} {dtype}' for column, dtype in spec.columns.items())}"
    else:
        kind = type_words(spec)
    return name, f"{kind}, {spec.classes} classes" if spec.classes else kind, shape


def _listed(words: Iterable[object]) -> str:
    found = [str(word) for word in words]
    more = f" … ({len(found)} in all)" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
