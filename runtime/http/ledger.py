"""What is counted and logged of answers: noted one by one, entered together once a turn of the loop."""

from __future__ import annotations

import asyncio
import os
from contextvars import Context
from typing import TYPE_CHECKING, Any

from ..service import forked

if TYPE_CHECKING:
    from ..metrics.metrics import RequestMetrics
    from .access_log import AccessLog, Row


class Ledger:
    """Under load a turn of the loop answers dozens, and most are of one route and one status: counted and
    written together they cost half.

    Args:
        log: None: nothing is logged.
    """

    def __init__(self, log: AccessLog | None) -> None:
        self.log = log
        self._rows: list[Row] = []
        self._metrics: list[RequestMetrics] = []
        """Of each row."""
        self._no_request = Context()  # what is entered belongs to many requests

    def open(self) -> None:
        """Once the loop runs."""
        mine: Any = self
        os.register_at_fork(after_in_child=lambda: setattr(mine, "note", _note_in_copy))

    def note(self, metrics: RequestMetrics, row: Row) -> None:
        """An answer leaves; in the event loop."""
        if not self._rows:
            asyncio.get_running_loop().call_soon(self.enter, context=self._no_request)
        self._rows.append(row)
        self._metrics.append(metrics)

    def enter(self) -> None:
        """Counts and logs what was noted."""
        rows, self._rows = self._rows, []
        metrics, self._metrics = self._metrics, []
        if not rows:
            return
        first, status = metrics[0], rows[0][3]
        alike = [row[5] for row, one in zip(rows, metrics, strict=True) if one is first and row[3] == status]
        if len(alike) == len(rows):
            first.end(status, *alike)
        else:
            for one, row in zip(metrics, rows, strict=True):
                one.end(row[3], row[5])
        if self.log is not None:
            self.log.write(*rows)

    def close(self) -> None:
        """The loop takes no more turns."""
        self.enter()
        if self.log is not None:
            self.log.close()


def _note_in_copy(*_: object) -> None:
    """The answer is its parent's to send."""
    forked.leave()
