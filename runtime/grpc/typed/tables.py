"""Data frames: columns, each a list of numbers, integers, texts or booleans, or of any of them mixed."""

from __future__ import annotations

import sys
from typing import Any

from ...schema.dataframe import to_columns
from ...schema.wrong import WrongValueError
from .any_json import STRUCT_FILE, fill_value, read_value
from .draft import FieldProto, FileDraft
from .form import MessageForm

_CELLS = (
    ("numbers", FieldProto.TYPE_DOUBLE, float),
    ("integers", FieldProto.TYPE_INT64, int),
    ("texts", FieldProto.TYPE_STRING, str),
    ("booleans", FieldProto.TYPE_BOOL, bool),
)


class TableForm(MessageForm):
    """A `pandas.DataFrame`."""

    word = "DataFrame"

    def __init__(self, file: FileDraft) -> None:
        known = file.known.get("DataFrame")
        if known is None:
            known = file.known["DataFrame"] = _messages(file)
        self.type_name = str(known)

    def read(self, value: Any) -> Any:
        columns: dict[str, list[Any]] = {}
        for column in value.columns:
            if column.name in columns:
                raise WrongValueError(f"the column {column.name[:100]!r} is there twice")
            columns[column.name] = _cells(column)
        return columns

    def fill(self, message: Any, value: Any) -> None:
        if not self.fits(value):
            raise TypeError(f"expected a data frame, got a {type(value).__name__}")
        for name, cells in to_columns(value):
            column = message.columns.add(name=name)
            kinds = set(map(type, cells))
            field = next((name for name, _, kind in _CELLS if kinds == {kind}), None)
            if field is not None:
                getattr(column, field).extend(cells)
            else:
                for cell in cells:
                    fill_value(column.values.add(), cell)

    def fits(self, value: object) -> bool:
        module = sys.modules.get("pandas")
        return module is not None and isinstance(value, module.DataFrame)


def _messages(file: FileDraft) -> str:
    file.imports.add(STRUCT_FILE)
    table = file.message("DataFrame", "A table: columns of equal length.", own=True)
    column = file.message("Column", "One column of a table. Only one of the lists may be filled.", own=True)
    table.add(
        table.field_name("columns"), code=FieldProto.TYPE_MESSAGE, type_name=column.full_name, repeated=True
    )
    column.add(column.field_name("name"), code=FieldProto.TYPE_STRING)
    for name, kind, _ in _CELLS:
        column.add(column.field_name(name), code=kind, repeated=True)
    column.add(
        column.field_name("values"),
        code=FieldProto.TYPE_MESSAGE,
        type_name=".google.protobuf.Value",
        repeated=True,
        note="Mixed, or with missing ones (null).",
    )
    return table.full_name


def _cells(column: Any) -> list[Any]:
    lists = [getattr(column, name) for name, _, _ in _CELLS]
    given = [each for each in lists if len(each)]
    if len(given) + bool(len(column.values)) > 1:
        raise WrongValueError("expected the cells in one list", f".{column.name}")
    if given:
        return list(given[0])
    return [read_value(cell) for cell in column.values]
