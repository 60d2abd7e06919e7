"""Tables → a class or a number for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InferenceError, InvalidInputError
from .labels import Label, ranked


@dataclass(frozen=True)
class Tabular:
    """What goes before and after a model of rows."""

    columns: Sequence[str] = ()
    """Names in the model's order; others of a table are left out. Empty: every column, as it comes."""
    as_table: bool = True
    """True: the model takes a data frame; False: float32[n, k]."""
    top: int = 3
    """How many classes are told of each row."""

    def prepare(self, table: Any) -> Any:
        """The rows as the model takes them.

        Args:
            table: `pandas.DataFrame`, columns in any order.

        Raises:
            InvalidInputError: no rows, a column is missing, or one holds no numbers and the model needs them.
        """
        if not len(table):
            raise InvalidInputError("the table has no rows")
        if missing := [name for name in self.columns if name not in table.columns]:
            raise InvalidInputError(
                f"the table has no column {missing[0]!r}; it needs {', '.join(self.columns)}"
            )
        chosen = table[list(self.columns)] if self.columns else table
        if self.as_table:
            return chosen
        try:
            found: np.ndarray[Any, Any] = chosen.to_numpy(dtype=np.float32)
        except (ValueError, TypeError) as error:
            raise InvalidInputError(f"the model takes numbers only: {error}") from error
        return found

    def labels(self, scores: Any, classes: Sequence[str] = ()) -> list[list[Label]]:
        """The likeliest classes of each row, the best first.

        Args:
            scores: float[n, k] of the model.
            classes: the word for each class index.

        Raises:
            InferenceError: no scores of classes.
        """
        return ranked(scores, classes, top=self.top)

    def values(self, outputs: Any) -> list[float]:
        """A number for each row.

        Args:
            outputs: float[n] or float[n, 1] of the model.

        Raises:
            InferenceError: several numbers a row.
        """
        array = np.asarray(outputs)
        if array.ndim > 1 and array.size != len(array):
            raise InferenceError(f"one number a row is needed, the model gives shape {list(array.shape)}")
        return [float(value) for value in array.reshape(-1)]
