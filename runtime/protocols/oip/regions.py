"""Memory that callers on the same machine have registered: their tensors may lie there."""

from __future__ import annotations

from typing import Protocol


class Regions(Protocol):
    """By name. `shared_memory.SharedMemory` implements it and says when the server does not allow it; nothing
    is mapped, since a caller may cut the memory off at any time."""

    def read(self, name: str, offset: int, byte_size: int) -> memoryview:
        """A copy of those bytes of a region.

        Raises:
            RequestError: unknown region, or bytes beyond its end.
        """

    def write(self, name: str, offset: int, room: int, data: bytes | memoryview) -> None:
        """Puts an output into a region, at most `room` bytes.

        Raises:
            RequestError: unknown region, bytes beyond its end, or more than `room`.
        """
