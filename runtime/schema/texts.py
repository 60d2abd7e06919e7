"""Arrays of text: numpy gives every element the room of the longest, four bytes a character."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from .wrong import WrongValueError

_FREE_BYTES = 16 * 1024 * 1024
_TIMES = 64
"""An array may be so many times as large as its texts alone."""


def check_room(texts: Iterable[str]) -> None:
    """Refuses texts that would fill the memory as an array: one long one among many.

    Raises:
        WrongValueError: the array would take more than 16 MiB, and 64 times what the texts take.
    """
    lengths = list(map(len, texts))
    longest = max(lengths, default=0)
    size = 4 * longest * len(lengths)
    if size > _FREE_BYTES and size > _TIMES * 4 * sum(lengths):
        raise WrongValueError(
            f"one of {len(lengths):,} texts has {longest:,} characters, and an array gives all as much: "
            f"{size:,} bytes; send it in a call of its own"
        )


def check_lists(value: Any, depth: int) -> None:
    """The same of lists that may hold other things than text.

    Args:
        value: `depth` lists in each other.

    Raises:
        WrongValueError: as `check_room`.
    """
    flat = value if depth else [value]
    for _ in range(depth - 1):
        flat = list(chain.from_iterable(flat))
    if str in set(map(type, flat)):
        check_room([element if type(element) is str else "" for element in flat])
