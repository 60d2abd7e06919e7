"""Server-sent events, read piece by piece (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ...errors import ServingError
from .failure import from_problem


class EventReader:
    """Bytes as they come → items.

    `ended` says whether the server said that the stream is whole; one that stops without it was cut off.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._event = ""
        self._data: list[bytes] = []
        self.ended = False

    def items(self, piece: bytes) -> Iterator[bytes]:
        """The items that `piece` completes, as JSON.

        Raises:
            ServingError: of the server's tree, when the service failed while it streamed.
        """
        self._rest.append(piece)
        if b"\n" not in piece:
            return  # of a long line, which is joined once
        *lines, rest = b"".join(self._rest).split(b"\n")
        self._rest = [rest]
        for raw in lines:
            line = raw[:-1] if raw.endswith(b"\r") else raw
            if line:
                self._field(line)
                continue
            data, event = b"\n".join(self._data), self._event
            self._data, self._event = [], ""
            if event == "error":
                raise _error(data)
            if event == "end":
                self.ended = True
            elif data:
                yield data

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("ascii", "replace")


def _error(data: bytes) -> ServingError:
    try:
        document: Any = msgspec.json.decode(data)
        return from_problem(document)
    except (msgspec.DecodeError, KeyError, AttributeError):
        return ServingError(f"the stream failed: {data[:300]!r}")
