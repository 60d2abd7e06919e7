"""`pandas.DataFrame`: a list of records or a map of columns in JSON and msgpack, or a CSV body."""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any

from ...errors import MalformedInputError
from ..manifest import TypeSpec
from .kind import Kind
from .wrong import WrongValueError

CSV = "text/csv"
MOST_COLUMNS = 50_000
"""pandas takes up to 0.1 ms for each, whatever is in it, and nobody else computes meanwhile."""
_HEADER_LINES = 10
_SHOWN = 10
"""Columns that an error names."""
_SCALARS = (str, int, float, bool, type(None))


class DataFrameKind(Kind):
    """A table; columns get the dtypes that pandas finds in the values."""

    raw_media = (CSV,)
    heavy_bytes = 0  # pandas needs 0.1 ms for a single record, and 1 ms for a CSV of any size

    def __init__(self) -> None:
        super().__init__("data frame")

    def from_plain(self, value: Any) -> Any:
        import pandas as pd

        if isinstance(value, pd.DataFrame):
            return value
        if isinstance(value, dict):
            _check_width(len(value))
            _check_columns(value)
        elif isinstance(value, list):
            _check_width(len(value[0]) if value and isinstance(value[0], dict) else 0)
            _check_records(value)
        else:
            raise WrongValueError(
                f"expected a list of records or an object of columns, got `{type(value).__name__}`"
            )
        try:
            return pd.DataFrame(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise WrongValueError(f"the values make no data frame: {error}") from error

    def from_raw(self, body: bytes, media_type: str, name: str = "") -> Any:  # noqa: ARG002 - one format
        import pandas as pd

        if not body.strip():
            raise MalformedInputError("the CSV is empty: it needs at least a line with the column names")
        # Of the rows only the first few: pandas makes columns of them and of the header, and refuses others.
        first = body.lstrip().split(b"\n", _HEADER_LINES)[:_HEADER_LINES]
        _check_width(1 + max(line.count(b",") for line in first))
        try:
            return pd.read_csv(BytesIO(body))
        except Exception as error:
            raise MalformedInputError(f"the body is not CSV: {error}") from error

    def spec(self) -> TypeSpec:
        return TypeSpec(kind="dataframe", json_schema=self.json_schema())

    def json_schema(self) -> dict[str, Any]:
        cell = {"type": ["string", "number", "boolean", "null"]}
        return {
            "description": "a table: records, or columns",
            "anyOf": [
                {"type": "array", "items": {"type": "object", "additionalProperties": cell}},
                {"type": "object", "additionalProperties": {"type": "array", "items": cell}},
            ],
        }

    def example(self) -> Any:
        return [{"a": 1.5, "b": "x"}]


def _check_width(columns: int) -> None:
    if columns > MOST_COLUMNS:
        raise WrongValueError(
            f"expected at most {MOST_COLUMNS:,} columns, got {columns:,}; send them as an array"
        )


def _check_columns(columns: dict[Any, Any]) -> None:
    length = None
    for name, cells in columns.items():
        if not isinstance(cells, list):
            raise WrongValueError(f"expected a list of values, got `{type(cells).__name__}`", f".{name}")
        if length is not None and len(cells) != length:
            raise WrongValueError(
                f"expected {length} values as in the first column, got {len(cells)}", f".{name}"
            )
        length = len(cells)
        for row, cell in enumerate(cells):
            if not isinstance(cell, _SCALARS):
                raise WrongValueError(
                    f"expected a plain value, got `{type(cell).__name__}`", f".{name}[{row}]"
                )


def _check_records(records: list[Any]) -> None:
    names: set[Any] | None = None
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            raise WrongValueError(f"expected a record, got `{type(record).__name__}`", f"[{row}]")
        if names is None:
            names = set(record)
        elif record.keys() != names:
            odd = sorted(map(str, names ^ record.keys()))
            raise WrongValueError(
                f"expected the fields of the first record; differing: {_listed(odd)}", f"[{row}]"
            )
        for name, cell in record.items():
            if not isinstance(cell, _SCALARS):
                raise WrongValueError(
                    f"expected a plain value, got `{type(cell).__name__}`", f"[{row}].{name}"
                )


def _listed(names: list[str]) -> str:
    """As an error names them: a caller may send as many as it likes, and as long."""
    shown = ", ".join(name if len(name) <= 60 else f"{name[:57]}..." for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"


def to_records(frame: Any) -> list[dict[Any, Any]]:
    """Rows as maps with Python values; missing values are None."""
    names, columns = zip(*to_columns(frame), strict=True) if len(frame.columns) else ((), ())
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def to_columns(frame: Any) -> list[tuple[str, list[Any]]]:
    """Name and Python values of each column; missing values are None."""
    # All columns at once: pandas takes 0.1 ms for each that it is asked for by itself.
    columns: list[list[Any]] = frame.to_numpy(dtype=object).T.tolist()
    missing = frame.isna().to_numpy().T
    for at in missing.any(axis=1).nonzero()[0].tolist():
        pairs = zip(columns[at], missing[at].tolist(), strict=True)
        columns[at] = [None if gone else value for value, gone in pairs]
    return [(str(name), _plain(values)) for name, values in zip(frame.columns, columns, strict=True)]


def _plain(values: list[Any]) -> list[Any]:
    return [value.isoformat() if hasattr(value, "isoformat") else value for value in values]


def to_csv(frame: Any) -> bytes:
    """CSV with a header line, without the index."""
    out = StringIO()
    frame.to_csv(out, index=False)
    return out.getvalue().encode()
