"""Where every door notes its answers: counted at once, and logged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..service import forked

if TYPE_CHECKING:
    from ..metrics.metrics import RequestMetrics
    from .access_log import AccessLog, Row


class Ledger:
    """
    Args:
        log: None: nothing is logged.
    """

    def __init__(self, log: AccessLog | None) -> None:
        self.log = log

    def open(self) -> None:
        """Once the loop runs."""
        mine: Any = self
        os.register_at_fork(after_in_child=lambda: setattr(mine, "note", _note_in_copy))

    def note(self, metrics: RequestMetrics, row: Row) -> None:
        """An answer leaves; in the event loop. It is counted even if the process is killed right after it."""
        metrics.end(row[3], row[5])
        if self.log is not None:
            self.log.write(row)

    def close(self) -> None:
        if self.log is not None:
            self.log.close()


def _note_in_copy(*_: object) -> None:
    """The answer is its parent's to send."""
    forked.leave()
