"""Memory that callers on the same machine have registered: their tensors may lie there."""

from __future__ import annotations

from typing import Protocol


class Regions(Protocol):
    """By name. `shared_memory` implements it; there are none unless the server allows it."""

    def view(self, name: str, offset: int, size_bytes: int) -> memoryview:
        """Those bytes of a region, writable.

        Raises:
            RequestError: unknown region, or bytes beyond its end.
        """
