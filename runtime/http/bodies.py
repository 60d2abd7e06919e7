"""How much of all bodies together one API process holds."""

from __future__ import annotations

from ...errors import OverloadedError

COUNTED_BYTES = 64 * 1024
"""Smaller bodies are not counted: connections and their callers bound how many there are."""
_RETRY_AFTER_S = 1.0


class Bodies:
    """Large bodies, from their first bytes to the answer.

    One body may always come, whatever its size: each route has a limit of its own for that.

    Args:
        limit_bytes: of all together; None: no limit.
    """

    def __init__(self, limit_bytes: int | None) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0

    def take(self, held_bytes: int, more_bytes: int) -> None:
        """Counts more of a body.

        Args:
            held_bytes: what was counted of it before.

        Raises:
            OverloadedError: with all others it is too much; nothing was counted.
        """
        total = self.held_bytes + more_bytes
        if self.limit_bytes is not None and total > self.limit_bytes and self.held_bytes > held_bytes:
            raise OverloadedError(
                f"the bodies of other requests take {self.held_bytes - held_bytes} of the {self.limit_bytes} "
                "bytes that this process has for them: try again, or give the server more memory",
                retry_after_s=_RETRY_AFTER_S,
            )
        self.held_bytes = total

    def give_back(self, size_bytes: int) -> None:
        self.held_bytes -= size_bytes
