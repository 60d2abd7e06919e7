"""A method that the parser does not know: what is to be said of it shows only at the end of its line."""

from __future__ import annotations

import re
from collections.abc import Callable

from ...errors import MalformedInputError, RequestError
from .head_faults import method_fault_of

LINE_BYTES = 8192
"""Of a line in pieces; in a longer one the method is not looked at."""
_UNFINISHED_LINE = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?: [!-~]*(?: [!-~]*\r?)?)?")


class OddMethod:
    """
    Args:
        error: of the parser, which takes nothing more.
        refuse: answers, and closes the connection.
    """

    def __init__(self, error: Exception, refuse: Callable[[RequestError], None]) -> None:
        self._error = error
        self._refuse = refuse
        self._line = b""
        self.waits = True
        """For the end of the line: nothing was answered."""

    def more(self, data: bytes) -> None:
        """The bytes that come next."""
        if self.waits:
            self._line += data
            if len(self._line) > LINE_BYTES or _UNFINISHED_LINE.fullmatch(self._line) is None:
                self.end()

    def end(self) -> None:
        """Nothing more is waited for."""
        self.waits = False
        fault = method_fault_of(self._line)
        self._refuse(fault or MalformedInputError(f"the request is not valid HTTP/1.1: {self._error}"))
