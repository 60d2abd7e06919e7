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


def signature_table(methods: Mapping[str, MethodSpec], batches: Mapping[str, str] | None = None) -> Table:
    """A row for each input and output of each method; inputs that are those of the method before only once.

    Args:
        methods: by name.
        batches: method to how large its batches are, for a column of that.
    """
    rows: list[tuple[str, ...]] = []
    before: MethodSpec | None = None
    for name, method in methods.items():
        more = [(batches[name],), ("",)] if batches is not None else [(), ()]
        for place, row in enumerate(_rows(method, before)):
            rows.append((name if not place else "", *row, *more[min(place, 1)]))
        before = method
    return Table(
        ["method", "", "type", "shape", *(["a batch, at most"] if batches is not None else [])], rows
    )


def _rows(method: MethodSpec, before: MethodSpec | None) -> Iterator[tuple[str, str, str]]:
    values: list[tuple[str, TypeSpec]] = []
    if before is None or method.inputs != before.inputs or method.output is None:
        values += method.inputs.items()
    if method.output is not None:
        values.append(("→", method.output))
    yield from (_described(*value) for value in values)
    if not values:
        yield "", "not known: save with example=", ""


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
