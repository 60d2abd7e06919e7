"""Large JSON bodies of one array, read row by row in pieces, so that other threads run in between.

No JSON parser for Python lets go of the interpreter lock while it parses: a body of 10 MB in one go stops the
event loop for 20 ms with simdjson and 100 ms with msgspec, from whatever thread. Here the text between the
outer brackets is cut at commas between rows. When `[piece]` is a valid list of rows for every piece, then so
is the whole: joined by the commas, they are the lists one after the other. Whatever else the cut hits (a
string, the comma inside a row) makes a piece that is no list of equal rows of numbers: `read` gives None.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .numbers import ArrayReader

PIECE_BYTES = 256 * 1024
"""Half a millisecond each. Smaller ones cost: letting go of the lock takes about 50 us."""

_LONGEST_TAIL_BYTES = 64


class Pieces:
    """Reads the bodies of a route whose one array parameter is called `name`.

    Args:
        name: an identifier.
        reader: of the array.
    """

    def __init__(self, name: str, reader: ArrayReader) -> None:
        self._head = re.compile(rb'\{\s*"%s"\s*:\s*\[' % re.escape(name.encode()))
        self._tail = re.compile(rb"\]\s*\}\s*\Z")
        self._row_end = re.compile(rb"(?:\]\s*){%d}," % (reader.depth - 1))
        self._reader = reader

    def read(self, body: bytes, parse: Callable[[bytes], Any]) -> np.ndarray[Any, Any] | None:
        """The array in `{"name": [...]}`; None when the body has another form.

        Raises:
            ValueError, TypeError, RuntimeError: as `ArrayReader.flat` and simdjson do.
        """
        head = self._head.match(body)
        tail = self._tail.search(body, max(len(body) - _LONGEST_TAIL_BYTES, 0))
        if head is None or tail is None:
            return None
        start, end = head.end(), tail.start()
        parts = []
        while start <= end:
            stop = self._next_comma(body, start + PIECE_BYTES, end)
            text = b"[%b]" % body[start:stop]
            array, lists = self._reader.read(parse(text))
            if not array.size or lists != lists_in(text):
                return None
            parts.append(array)
            start = stop + 1
            time.sleep(0)  # lets go of the lock
        return np.concatenate(parts)

    def _next_comma(self, body: bytes, start: int, end: int) -> int:
        """Behind the next end of a row; `end` when there is none."""
        sign = b"]" if self._reader.depth > 1 else b","
        at = body.find(sign, start, end)  # by far faster than a search with the pattern
        while at >= 0:
            found = self._row_end.match(body, at, end)
            if found is not None:
                return found.end() - 1
            at = body.find(sign, at + 1, end)
        return end


def lists_in(text: bytes) -> int:
    """Opening brackets in JSON text; those in strings too."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == _BRACKET))


_BRACKET = ord("[")
