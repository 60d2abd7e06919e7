"""Errors in captured code: a person knows the cell, not the module that was written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import SecretFoundError, TiffinError
from ..secrets_scan import secret_in
from .written import Captured

_MISSING_FILE = re.compile(r"FileNotFoundError: .*?'([^']+)'")


@contextmanager
def errors_by_cell(captured: Captured) -> Iterator[None]:
    """Within, an error that names a line of the module that was written names the cell and its line, too."""
    try:
        yield
    except TiffinError as error:
        if len(error.args) == 1 and isinstance(error.args[0], str):
            message = by_cell(captured, error.args[0])
            if isinstance(error, SecretFoundError):
                message += _of_cells(message, captured)
            error.args = (message,)
        raise


def _of_cells(message: str, captured: Captured) -> str:
    """Where in the module that was made of the cells it is."""
    module = f"{captured.target.service.partition(':')[0]}.py"
    if f"\n  {module}: " not in message:
        return ""
    lines = captured.source.text.split("\n")
    places = [
        f"{span.cell.name}, line {span.cell_line + line - span.first}"
        for span in captured.source.spans
        for line in range(span.first, span.last + 1)
        if secret_in("", lines[line - 1].encode())
    ]
    return f"\n{module} is made of {'; '.join(places) or 'the cells'}"


def by_cell(captured: Captured, message: str) -> str:
    """The message, with the cell and its line behind each line of the module that it names."""
    module = captured.target.service.partition(":")[0]

    def with_cell(match: re.Match[str]) -> str:
        line = int(match[1])
        for span in captured.source.spans:
            if span.first <= line <= span.last:
                return f"{match[0]} ({span.cell.name}, line {span.cell_line + line - span.first})"
        return match[0]

    message = re.sub(rf"\b{module}\.py:(\d+)\b", with_cell, message)
    missing = _MISSING_FILE.search(message)
    if missing and (captured.settings / missing[1]).exists():
        message += (
            f"\n{missing[1]} lies beside the notebook, and only code is taken from there: write what it "
            "holds into a cell, save it with the model (tiffin.models.save(…, metadata={…})), or put it into "
            "a package beside the notebook, whose files go along, and read it by Path(__file__).parent"
        )
    return message
