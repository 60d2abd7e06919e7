"""What is wrong with a value, before anybody knows where in the input it stood."""

from __future__ import annotations

from ...errors import InvalidInputError


class WrongValueError(ValueError):
    """A well-formed value that does not fit its hint.

    Args:
        message: what was expected and what came.
        at: where inside the value, as `[3][1]` or `.name`; empty when the whole is meant.
    """

    def __init__(self, message: str, at: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at

    def under(self, path: str) -> InvalidInputError:
        """The same complaint for the caller, with `path` (`$.flowers`) in front of where it was."""
        return InvalidInputError(self.message, path=path + self.at)


def at_index(index: tuple[int, ...]) -> str:
    """`(3, 1)` → `[3][1]`."""
    return "".join(f"[{position}]" for position in index)


def short(value: object) -> str:
    """A value as a message shows it."""
    if type(value) is int and abs(value) >= 10**30:
        return "a larger integer"  # CPython refuses to print integers of more than 4300 digits
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
